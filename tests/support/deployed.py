"""The processes of a deployment, started by the lines of the Procfile, word for word."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx

from app.settings.model import Settings, load_settings
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.service import key_for, prepared, running
from tests.support.steps import announced, send
from tests.support.stores import free_port

ROOT = Path(__file__).parents[2]
# Heroku kills so many seconds after SIGTERM.
KILLED_AFTER = 30
_HELD = 6
_CALLERS = 12
_BUSY = 60


def procfile() -> dict[str, str]:
    """The commands by the names of their processes."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines)}


class Root:
    """Where commands run: here, in this virtual environment, or in a root of their own."""

    def __init__(self, enter: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        """`enter` is a command that runs the one behind it there, with `environ` of the place."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._enter = enter
        self._environ = {"PATH": path} if environ is None else environ

    async def start(
        self, line: str, environ: Mapping[str, str], log: Path
    ) -> asyncio.subprocess.Process:
        """Start the line as Heroku and containers do, by a shell, in a group of its own."""
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *(*self._enter, "sh", "-c", line),
                env={**self._environ, **environ},
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def run(self, line: str, environ: Mapping[str, str], log: Path) -> int:
        """Run the line to its end; its exit status."""
        process = await self.start(line, environ, log)
        return await process.wait()


@asynccontextmanager
async def web(
    root: Root, environ: Mapping[str, str], log: Path, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The web process, answering: its URL, and the process, which is ended if it still runs."""
    port = free_port()
    process = await root.start(procfile()["web"], {**environ, "PORT": str(port)}, log)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for _ in range(2400):
                with contextlib.suppress(httpx.TransportError):
                    await client.get(f"{url}/livez")
                    break
                assert process.returncode is None, f"it did not start, see {log}"
                await asyncio.sleep(0.05)
        yield url, process
    finally:
        if process.returncode is None:
            # Its own group: the server and its workers.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def sigterm_under_load(
    root: Root, environ: dict[str, str], log: Path, *, workers: int = 2
) -> int:
    """SIGTERM while the web processes are busy: whatever they have taken in, they answer.

    Requests that wait for the bucket are answered once it has; of the announcements that come in
    all the while, each that was stored was answered; and an upload that was under way is confirmed
    afterwards, by another process. Gives the number of announcements.
    """
    settings = await prepared(environ)
    scopes = "uploads:write", "files:read"
    key = await key_for(settings, *scopes)
    async with (
        faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy,
        httpx.AsyncClient(timeout=60) as browser,
    ):
        deployed = {
            **environ,
            "AWS_S3_ENDPOINT_URL": proxy.address,
            "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
            "WEB_CONCURRENCY": str(workers),
        }
        async with (
            web(root, deployed, log) as (url, process),
            httpx.AsyncClient(base_url=url, headers=key, timeout=60) as client,
        ):
            uploads = [await announced(client, b"hello") for _ in range(_HELD + 1)]
            for upload in uploads[:-1]:
                assert (await send(browser, upload["upload"], b"hello")).is_success
            before = await _stored(settings)
            answered: list[str] = []
            callers = [asyncio.create_task(_announce(url, key, answered)) for _ in range(_CALLERS)]
            for _ in range(3000):
                if len(answered) >= _BUSY:
                    break
                await asyncio.sleep(0.02)
            held = await _held(client, proxy, [upload["id"] for upload in uploads[:-1]])
            for _ in range(2):  # as Heroku may: more than once, and to every process
                os.killpg(process.pid, signal.SIGTERM)
                await asyncio.sleep(0.5)
            assert process.returncode is None, "it did not wait for what was under way"
            proxy.release()
            statuses = [(await answer).status_code for answer in held]
            assert statuses == [200] * _HELD
            async with asyncio.timeout(KILLED_AFTER):
                await process.wait()
            await asyncio.gather(*callers)
        assert await _stored(settings) - before == len(answered)
        assert (await send(browser, uploads[-1]["upload"], b"hello")).is_success
        async with running(load_settings(environ)) as client:
            last = f"/v1/uploads/{uploads[-1]['id']}/confirm"
            assert (await client.post(last, headers=key)).status_code == 200
    return len(answered)


async def _held(
    client: httpx.AsyncClient, proxy: FaultyProxy, ids: list[str]
) -> list[asyncio.Task[httpx.Response]]:
    """Confirms that wait for the bucket, all of them; also where they ask it again meanwhile."""
    proxy.disturb("GET", "before", times=2 * len(ids))
    confirms = [asyncio.create_task(client.post(f"/v1/uploads/{one}/confirm")) for one in ids]
    for _ in range(3000):
        if proxy.seen.count("GET") >= len(ids):
            break
        await asyncio.sleep(0.02)
    return confirms


async def _announce(url: str, key: dict[str, str], answered: list[str]) -> None:
    """Announce until nobody takes connections; note the ids in the answers."""
    body = {"destination": "files", "filename": "a.txt", "size": 5}
    async with httpx.AsyncClient(base_url=url, headers=key, timeout=60) as client:
        while True:
            try:
                response = await client.post("/v1/uploads", json=body)
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                # Not taken in: the connection was closed before the request came.
                continue
            assert response.status_code == 201, response.text
            answered.append(response.json()["id"])


async def _stored(settings: Settings) -> int:
    assert settings.database_url is not None
    db = await asyncpg.connect(settings.database_url.get_secret_value())
    count = await db.fetchval("SELECT count(*) FROM files")
    await db.close()
    return int(count)
