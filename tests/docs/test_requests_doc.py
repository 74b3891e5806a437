"""The examples of docs/requests.md, run as they stand but for addresses."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

from app.core.principal import Scope
from tests.support.service import key_for, prepared, served

GUIDE = (Path(__file__).parents[2] / "docs" / "requests.md").read_text(encoding="utf-8")


async def run(script: str, **environ: str) -> list[str]:
    """The lines that a script says."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().splitlines()


async def test_a_link_is_made_and_a_page_of_one_s_own_sends_by_it(
    environ: dict[str, str], tmp_path: Path
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
    headers = await key_for(settings, Scope.REQUESTS_MANAGE, Scope.UPLOADS_WRITE, owner="ann")
    make, send = re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL)
    async with served(environ | {"CLAIMCHECK_AUTH": "keys"}, tmp_path / "log") as service:
        address = str(service.client.base_url).rstrip("/")
        script = make.replace("API=http://127.0.0.1:8000", f"API={address}")
        assert script != make
        [link] = await run(script, KEY=headers["Authorization"].removeprefix("Bearer "))
        page, _, token = link.partition("#")
        assert page == f"{address}/r"
        assert (await service.client.get(page)).status_code == 200

        seen, announced = map(json.loads, await run(send, API=address, LINK=token))
        assert (seen["files_left"], seen["destination"]["max_size"]) == (20, 50_000_000)
        assert announced["state"] == "pending"
        requests = (await service.client.get("/v1/requests", headers=headers)).json()["items"]
        where = f"/v1/requests/{requests[0]['id']}/files"
        [sent] = (await service.client.get(where, headers=headers)).json()["items"]
        assert (sent["filename"], sent["sender"]["name"]) == ("harbour.png", "Bob")
