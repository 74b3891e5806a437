"""The service as a deployment starts it, with two workers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from tests.support.service import prepared
from tests.support.stores import free_port

SERVE = ("app.cli", "serve")
BY_UVICORN = ("uvicorn", "app.main:create_app", "--factory", "--port", "{port}")


@asynccontextmanager
async def workers(
    environ: dict[str, str], folder: Path, command: tuple[str, ...] = SERVE
) -> AsyncIterator[int]:
    """Two workers of that command; the port. Their log goes to the folder."""
    await prepared(environ)
    port = free_port()
    ours = ("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL", "PROMETHEUS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *(word.format(port=port) for word in command)),
            env={
                **inherited,
                **environ,
                "TMPDIR": str(folder),
                "PORT": str(port),
                "WEB_CONCURRENCY": "2",
            },
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for _ in range(2400):
                with suppress(httpx.TransportError):
                    await client.get(f"http://127.0.0.1:{port}/livez")
                    break
                assert process.returncode is None, (folder / "log").read_text()
                await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
