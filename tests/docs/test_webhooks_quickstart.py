"""docs/webhooks-quickstart.md, run as it stands: a verified webhook on this machine."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.browser.packages import install, needs_npm
from tests.support.secrets_in_logs import keep_secret
from tests.support.service import Service, key_for, prepared, served
from tests.support.steps import stored
from tests.support.stores import free_port

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The page's commands, in order."""
    page = (ROOT / "docs" / "webhooks-quickstart.md").read_text(encoding="utf-8")
    return [line.strip() for line in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)]


@pytest.fixture
async def service(environ: dict[str, str], tmp_path: Path) -> AsyncIterator[Service]:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
    async with served(environ | {"CLAIMCHECK_AUTH": "keys"}, tmp_path / "log") as service:
        key = await key_for(settings, "uploads:write", "files:read", "events:read")
        service.client.headers.update(key)
        yield service


class Terminal:
    """A command that runs, and its lines so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, pattern: str) -> str:
        """The first group, or all, of the next line that the pattern is found in."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            async for raw in self.process.stdout:
                self.lines.append(raw.decode().rstrip())
                if found := re.search(pattern, self.lines[-1]):
                    return found[found.re.groups and 1]
        raise AssertionError("\n".join(self.lines))


@asynccontextmanager
async def terminal(command: str, environ: dict[str, str]) -> AsyncIterator[Terminal]:
    """The command at the root of the project, killed with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Terminal(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def test_the_first_command_starts_what_the_others_ask() -> None:
    first = commands()[0]
    assert first == "make run"
    assert "run: $(RUNNABLE)" in (ROOT / "Makefile").read_text()


@needs_npm
@pytest.mark.parametrize("receiver", ["aiohttp", "express"])
async def test_three_commands(
    service: Service, web: httpx.AsyncClient, tmp_path: Path, receiver: str
) -> None:
    _, listen, aiohttp, express = commands()
    port = str(free_port())
    # Packages are installed by the tests' own lock files.
    _, start = (aiohttp if receiver == "aiohttp" else express).rsplit(" && ", 1)
    if receiver == "express":
        project = tmp_path / "express"
        install(project, ROOT / "examples" / "webhooks-express")
        start = f"cd {project} && {start}"
    environ = {
        "CLAIMCHECK_URL": str(service.client.base_url),
        "CLAIMCHECK_KEY": service.client.headers["authorization"].removeprefix("Bearer "),
    }
    # The program of the virtual environment is that of another copy where several share it.
    listen = listen.replace(".venv/bin/claimcheck", ".venv/bin/python -m app.cli")
    listen = listen.replace(":3000", f":{port}")
    async with terminal(listen, environ) as listening:
        secret = await listening.line(r"WEBHOOK_SECRET=(whsec_\S+)")
        keep_secret(secret)
        await listening.line("^Ready")
        start = start.replace("whsec_...", secret)
        # The event waits for its receiver.
        file = await stored(service.client, web, filename="first.txt")
        await listening.line("does not answer")
        async with terminal(start, {"PORT": port}) as receiving:
            assert await receiving.line("^verified: (.*)") == "file.confirmed first.txt"
            assert await listening.line(r"file.confirmed \S+: (.*)") == "204"
            forged = await web.post(f"http://127.0.0.1:{port}/hooks", json=file)
            assert forged.status_code == 401
        wrong = start.replace(secret, secret[:-4] + "AAAA")
        async with terminal(wrong, {"PORT": port}):
            await stored(service.client, web, filename="second.txt")
            assert await listening.line(r"file.confirmed \S+: (.*)") == "401"


async def test_a_key_that_may_not_read_events_is_told(service: Service) -> None:
    environ = {"CLAIMCHECK_URL": str(service.client.base_url), "CLAIMCHECK_KEY": "none"}
    command = ".venv/bin/python -m app.cli listen --forward-to http://127.0.0.1:1/"
    async with terminal(command, environ) as listening:
        assert "token" in await listening.line("refuses: (.*)")
        assert await listening.process.wait() == 1
    async with terminal(command, {"WEBHOOK_SECRET": "whsec_?"}) as listening:
        await listening.line("must be whsec_ and Base64")
