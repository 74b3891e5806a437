"""The example of docs/events.md, run as it stands."""

import asyncio
import os
import re
from pathlib import Path

import httpx

from app.core.principal import Scope
from app.models.events import EventType
from tests.support.service import key_for, prepared, served
from tests.support.steps import stored

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


def test_every_type_is_in_the_table() -> None:
    assert re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.MULTILINE) == [
        *("file.confirmed", "file.rejected", "file.changed", "file.released"),
        *("file.quarantined", "file.cleared"),
        *("file.restored", "file.removed", "upload.expired", "record.changed"),
        *("webhook.disabled", "webhook.test"),
    ]
    assert set(re.findall(r"^\| `([a-z.]+)` \|", PAGE, re.MULTILINE)) == set(EventType)


async def test_the_feed_is_read_as_the_page_says(
    environ: dict[str, str], web: httpx.AsyncClient, tmp_path: Path
) -> None:
    [script] = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    first, second = script.split("# Wait up to")
    environ |= {"CLAIMCHECK_AUTH": "keys"}
    settings = await prepared(environ)
    reader = await key_for(settings, Scope.EVENTS_READ, Scope.FILES_ALL, owner="shop")
    sender = await key_for(settings, Scope.UPLOADS_WRITE)
    async with served(environ, tmp_path / "log") as service:

        async def run(lines: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-euo", "pipefail", "-c", lines),
                cwd=tmp_path,
                env={
                    "PATH": os.environ["PATH"],
                    "API": str(service.client.base_url).rstrip("/"),
                    "KEY": reader["Authorization"].removeprefix("Bearer "),
                },
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            assert process.returncode == 0
            return out.decode()

        cursor = (await run(f"{first}\necho $CURSOR")).strip()
        waiting = asyncio.create_task(
            run(f"CURSOR={cursor} FEED=$API/v1/events\n# Wait up to{second}")
        )
        service.client.headers.update(sender)
        await stored(service.client, web, filename="Report.txt")
        assert await waiting == f"file.confirmed Report.txt\ngo on after {int(cursor) + 1}\n"
