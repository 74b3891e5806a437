"""The panel's pages are made in turns with other requests."""

import asyncpg
import pytest

from app import turns
from bench import rows
from tests.admin.panel import NAME, PASSWORD, Panel, member
from tests.support.service import prepared, running
from tests.support.turns import turns_of_others


async def test_a_page_of_files_is_made_in_turns(
    environ: dict[str, str], db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        "AWS_STORAGE_BUCKET_NAME": rows.BUCKET,
        "CLAIMCHECK_ADMIN": "true",
        "CLAIMCHECK_SECRET_KEY": "0" * 32,
    }
    settings = await prepared(environ | more)
    await rows.fill(db, 1, 100, settings.destinations["images"].stored_endpoint)
    await member(settings)
    async with running(settings) as client:
        await Panel(client).sign_in(NAME, PASSWORD)
        monkeypatch.setattr(turns, "SECONDS", -1.0)
        response, others = await turns_of_others(client.get("/admin/files"))
        assert response.status_code == 200, response.text
        assert others >= 2 * 50
