"""The panel's pages while the database says nothing: in time, in words, and then as before."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from app.http import middleware
from app.settings.model import load_settings
from app.staff import accounts as staff
from tests.admin.panel import CHEAP, Panel, member, said
from tests.support.faults import line_to
from tests.support.service import key_for, prepared, running
from tests.support.steps import stored

PAGES = ("/", "/uploads", "/files", "/records", "/keys", "/destinations")


async def test_every_page_answers_when_the_database_does_not(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)
    environ |= {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"}
    await member(await prepared(environ))
    url = urlsplit(environ["DATABASE_URL"])
    assert url.hostname
    assert url.port
    async with line_to(url.hostname, url.port) as line:
        netloc = url.netloc.replace(f":{url.port}", f":{line.port}")
        through = {"DATABASE_URL": urlunsplit(url._replace(netloc=netloc))}
        async with running(load_settings(environ | through)) as client:
            panel = Panel(client)
            assert (await panel.sign_in()).status_code == 303
            # What is served is held to the limit; tests/http/test_faults.py has how low it is.
            monkeypatch.setattr(middleware, "ANSWER_SECONDS", 0.5)
            for wrong in (line.silence, line.cut):
                wrong()
                for page in PAGES:
                    response = await panel.get(page)
                    assert response.status_code == 503, (page, response.text)
                    assert int(response.headers["retry-after"]) > 0
                    assert said(response)
                monkeypatch.undo()
                line.mend()
                assert await _is_back(panel)


async def test_files_are_shown_as_a_problem_while_nothing_can_be_signed(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)
    environ |= {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"}
    settings = await prepared(environ)
    await member(settings)
    async with running(settings) as client:
        client.headers.update(await key_for(settings, "uploads:write"))
        file = await stored(client, web)
    environ["AWS_SESSION_TOKEN"] = "ended"
    environ["CLAIMCHECK_CREDENTIALS_EXPIRE_AT"] = "2020-01-01T00:00:00Z"
    async with running(load_settings(environ)) as client:
        panel = Panel(client)
        assert (await panel.sign_in()).status_code == 303
        for page in ("/files", f"/files/{file['id']}"):
            response = await panel.get(page)
            assert response.status_code == 503, response.text
            assert "credentials have ended" in said(response)


async def _is_back(panel: Panel) -> bool:
    """Soon, for what was silent has to be given up first."""
    for _ in range(600):
        responses: list[httpx.Response] = [await panel.get(page) for page in PAGES]
        if all(response.status_code < 400 for response in responses):
            return True
        await asyncio.sleep(0.1)
    return False
