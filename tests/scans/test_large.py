"""1 GiB through clamd, and the worker's memory meanwhile."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.parts import MIB
from app.scans.proof import marked
from tests.support.clamd import NAME, limits, start_clamd
from tests.support.service import SESSION_SECRET, Store, as_set, prepared, running
from tests.support.steps import setting
from tests.support.stores.rgw import Rgw

GIB = 1024 * MIB


def peak_memory(pid: int) -> int:
    """Bytes that the process has ever held in memory (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def sent(client: httpx.AsyncClient, web: httpx.AsyncClient, size: int) -> dict[str, Any]:
    """A confirmed file of so many bytes, with the mark at its end."""
    asked = {"destination": "files", "filename": "large.zip", "size": size}
    upload = (await client.post("/v1/uploads", json=asked)).json()
    instructions = upload["upload"]
    parts, waiting = iter(instructions["parts"]), b""
    for piece in (*marked(size), b""):
        waiting += piece
        if len(waiting) >= instructions["part_size"] or (not piece and waiting):
            part = next(parts)
            data, waiting = waiting[: part["size"]], waiting[part["size"] :]
            answer = await web.put(part["url"], content=data)
            assert answer.status_code == 200, answer.text
    for _ in range(100):
        answer = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        if answer.status_code == 200:
            break
    return answer.json()


@pytest.mark.slow
async def test_one_gib(
    gateway: Rgw,
    database_url: str,
    web: httpx.AsyncClient,
    tmp_path: Path,
) -> None:
    store = Store(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)
    with start_clamd(tmp_path, limits(GIB)) as clamd:
        environ = (
            store.environ("large-scan")
            | {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"}
            | {"CLAIMCHECK_SECRET_KEY": SESSION_SECRET, "CLAIMCHECK_CLAMD_URL": clamd.url}
            | {"CLAIMCHECK_CLAMD_MAX_SIZE": str(GIB)}
            | setting("files", "scan", "required")
            | setting("files", "max_size", str(GIB))
            | setting("files", "part_size", str(64 * MIB))
        )
        async with running(await prepared(environ)) as client:
            file = await sent(client, web, GIB)
            assert file["scan"] == "pending"
            with (tmp_path / "worker.log").open("wb") as log:
                worker = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "app.cli", "worker"),
                    env=as_set(environ),
                    stdout=log,
                    stderr=log,
                )
            try:
                while file["scan"] == "pending":
                    assert worker.returncode is None, (tmp_path / "worker.log").read_text()
                    await asyncio.sleep(0.5)
                    file = (await client.get(f"/v1/files/{file['id']}")).json()
                peak = peak_memory(worker.pid)
            finally:
                worker.terminate()
                await worker.wait()
    print(f"1 GiB scanned, the worker held {peak / MIB:.0f} MiB at most")  # noqa: T201
    assert (file["scan"], file["scan_reason"]) == ("infected", NAME)
    assert peak < 150 * MIB
