#!/usr/bin/env bash
# uvicorn's `callback_notify`, by which supervisors learn that a worker's event loop moves (gunicorn by
# way of uvicorn-worker), is called once `timeout_notify` seconds have passed by the clock on the wall.
# Where that clock is set back, uvicorn goes on answering and says nothing until the clock has caught up:
# whoever counts the silence by a monotonic clock takes the worker for one that hangs. Virtual machines'
# clocks are set back when they are resumed or moved, and by time daemons at their start.
# Here it matters to app/commands/supervisor.py, whose workers tell once a second whatever the clock says.
#
# Seen with uvicorn 0.54.0, Python 3.11, libfaketime 0.9.10 (which moves the wall clock alone):
#   told within 6 s: the clock goes on True; the clock was set back by 100 s False, with an answer True
# Expected: told in both.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -qq libfaketime=0.9.10* 2>/dev/null
dpkg -x libfaketime_*.deb faketime
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvicorn==0.54.0
cat >see.py <<'PYTHON'
import asyncio
import sys

import uvicorn

PORT = 8765


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def see(step):
    told = []

    async def notify():
        told.append(None)

    config = uvicorn.Config(
        *(app,), port=PORT, lifespan="off", log_level="error",
        callback_notify=notify, timeout_notify=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not told:
        await asyncio.sleep(0.1)
    with open("clock", "w") as clock:
        clock.write(step)
    await asyncio.sleep(0.5)
    told.clear()
    await asyncio.sleep(6)
    reads, writes = await asyncio.open_connection("127.0.0.1", PORT)
    writes.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answered = (await reads.read()).startswith(b"HTTP/1.1 200")
    writes.close()
    server.should_exit = True
    await serving
    return bool(told), answered


told, answered = asyncio.run(see(sys.argv[1]))
print(told, answered)
PYTHON
see() {
  echo "+0" >clock
  LD_PRELOAD=$(echo "$scratch"/faketime/usr/lib/*/faketime/libfaketime.so.1) \
    FAKETIME_TIMESTAMP_FILE="$scratch/clock" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
    timeout 60 venv/bin/python see.py "$1"
}
read -r on _ < <(see +0)
read -r back answered < <(see -100)
echo "told within 6 s: the clock goes on $on; the clock was set back by 100 s $back, with an answer $answered"
test "$on $back $answered" = "True False True"
