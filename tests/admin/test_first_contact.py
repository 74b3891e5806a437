"""`make run` prints a name and a password with which the panel opens."""

import re
from pathlib import Path

import httpx

from tests.admin.panel import Panel
from tests.support.browser.dev import started


async def test_the_panel_opens_with_what_is_printed(tmp_path: Path) -> None:
    with started(tmp_path, {}) as address:
        printed = (tmp_path / "log").read_text()
        assert f"The panel  {address}/admin/" in printed
        found = re.search(r"name (\S+), password (\S+)", printed)
        assert found
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
            panel = Panel(client)
            await panel.sign_in(*found.groups())
            assert "No files yet" in await panel.page()
            # There are records to try it with.
            assert "New product" in await panel.page("/records")
