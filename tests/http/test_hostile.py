"""Strangers leave nothing behind, and the service answers others meanwhile."""

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.deployed import Root, web
from tests.support.service import UNKNOWN_ID, key_for, prepared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]
MIB = 1024 * 1024
HEADERS = 200 * MIB
BODIES = 100
NAMES = 1000

# In a process of its own: what it costs to send is none of the service's.
HOSTILE = """
import json, socket, sys
port, headers, bodies, names = map(int, sys.argv[1:5])
key, upload = sys.argv[5:7]

def ask(head, body=b""):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + b"Content-Length: %d\\r\\n\\r\\n" % len(body))
        sent = 0
        try:
            while sent < len(body):
                sent += connection.send(body[sent:sent + 65536])
            connection.recv(65536)
        except OSError:
            pass

sent = 0
while sent < headers:
    for start in (
        b"GET / HTTP/1.1\\r\\nHost: a\\r\\nX: ",
        b"GET /",
        b"POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\nX: ",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            try:
                connection.sendall(start)
                for _ in range(64):
                    sent += connection.send(b"a" * 65536)
            except OSError:
                pass
print("headers", sent, flush=True)
to = b"POST %b HTTP/1.1\\r\\nHost: a\\r\\nContent-Type: application/json\\r\\n"
let_in = b"Authorization: Bearer " + key.encode() + b"\\r\\n"
for number in range(bodies):
    filler = b'{"PartNumber":1},' if number % 2 else b"[[[],[]]],"
    body = b'{"parts":[' + filler * (2_090_000 // len(filler)) + b"1]}"
    for door in (b"/uppy/s3/multipart/%b/complete" % upload.encode(), b"/v1/uploads"):
        for more in (b"", let_in):
            ask(to % door + more, body)
print("bodies", flush=True)
name = ("a" + "\\u0301\\u0316" * 5000)
body = json.dumps({"destination": "files", "filename": name, "size": 1}).encode()
for _ in range(names):
    ask(to % b"/v1/uploads" + let_in, body)
    ask(to % b"/uppy/s3/multipart" + let_in, body)
print("names", flush=True)
"""


def resident(pid: int) -> int:
    """Bytes of memory that the process has (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def medians(client: httpx.AsyncClient, until: asyncio.Task[object]) -> float:
    """The middle of the times that /livez takes while the task runs, in seconds."""
    times = []
    while not until.done():
        before = time.perf_counter()
        assert (await client.get("/livez")).status_code == 200
        times.append(time.perf_counter() - before)
        await asyncio.sleep(0.01)
    return statistics.median(times)


async def test_what_strangers_send_leaves_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    environ |= {"CLAIMCHECK_AUTH": "keys"}
    settings = await prepared(environ)
    key = (await key_for(settings, "uploads:write"))["Authorization"].removeprefix("Bearer ")

    async with (
        web(Root(), environ, tmp_path / "log") as (url, process),
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
    ):
        port = url.rpartition(":")[2]

        async def hostile(headers: int, bodies: int, names: int) -> dict[str, float]:
            """The MiB of memory after each kind."""
            sender = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", HOSTILE, port, str(headers), str(bodies), str(names)),
                *(key, UNKNOWN_ID),
                stdout=asyncio.subprocess.PIPE,
            )
            assert sender.stdout is not None
            found = {}
            async for line in sender.stdout:
                found[line.decode().split()[0]] = resident(process.pid) / MIB
            assert await sender.wait() == 0
            return found

        # All that is loaded with the first of each.
        await hostile(MIB, 4, 20)
        before = resident(process.pid) / MIB
        idle = await medians(client, asyncio.create_task(asyncio.sleep(10)))
        attack = asyncio.create_task(hostile(HEADERS, BODIES, NAMES))
        busy = await medians(client, attack)
        after = await attack
    figures = {"before": before, **after, "idle ms": idle * 1000, "busy ms": busy * 1000}
    print(json.dumps(figures))  # noqa: T201
    assert after.keys() == {"headers", "bodies", "names"}
    assert max(after.values()) - before < 10, figures
    assert busy < 5 * idle, figures
