#!/usr/bin/env bash
# opendal (Python): `for entry in operator.list(path)` holds the interpreter's lock while it waits for the
# store, at the first entry and then once a page: all other threads stand still so long, and the event loop
# too where it was sent to `asyncio.to_thread`, as FastAPI does with a route that is no coroutine. The other
# calls of 0.47.12 let go of the lock (its changes 8180 and 8267), `list()` itself too, which returns at once,
# for it asks nothing yet: the wait is in the iteration. `AsyncOperator` and obstore 0.12.1 stop nobody.
# Here it matters to a service beside us that lists a bucket: a store that answers a list slowly, as large
# buckets are, stops every request of the process, those for health too.
#
# Seen with opendal 0.47.12, obstore 0.12.1, Python 3.11, a store that takes 3 seconds to answer:
#   opendal read, in a thread: the event loop goes on
#   opendal list, in a thread: the event loop stands still
#   opendal list, AsyncOperator: the event loop goes on
#   obstore list, in a thread: the event loop goes on
# Expected: it goes on, each time.
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill "$server"
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check opendal==0.47.12 obstore==0.12.1
cat >"$scratch/store.py" <<'PYTHON'
import http.server
import sys
import time

LIST = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix>
<KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>film</Key>
<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"0cc175b9c0f1b6a831c399e269772661"</ETag>
<Size>1</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"""


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(3)
        body = LIST if "list-type" in self.path else b"a"
        self.send_response(200)
        self.send_header("ETag", '"0cc175b9c0f1b6a831c399e269772661"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
with open(sys.argv[1], "w") as file:
    file.write(f"{server.server_port}\n")
server.serve_forever()
PYTHON
python3 "$scratch/store.py" "$scratch/port" >"$scratch/log" 2>&1 &
server=$!
until [ -s "$scratch/port" ]; do sleep 0.1; done

"$scratch/venv/bin/python" - "$(cat "$scratch/port")" <<'PYTHON'
import asyncio
import sys

import obstore
import obstore.store
import opendal

place = {
    "bucket": "bucket",
    "endpoint": f"http://127.0.0.1:{sys.argv[1]}",
    "region": "us-east-1",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
}
operator, asynchronous = opendal.Operator("s3", **place), opendal.AsyncOperator("s3", **place)
store = obstore.store.S3Store(**place, client_options={"allow_http": True})


async def list_asynchronously():
    return [entry.path async for entry in await asynchronous.list("")]


async def goes_on_during(call):
    """Whether the event loop has turned at least 50 times in the 3 seconds, by pauses of 10 ms."""
    turns, waiting = 0, asyncio.ensure_future(call)
    while not waiting.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert waiting.result() in (b"a", ["film"])
    return turns >= 50


async def see():
    calls = {
        "opendal read, in a thread": asyncio.to_thread(operator.read, "film"),
        "opendal list, in a thread": asyncio.to_thread(lambda: [e.path for e in operator.list("")]),
        "opendal list, AsyncOperator": list_asynchronously(),
        "obstore list, in a thread": asyncio.to_thread(
            lambda: [entry["path"] for page in obstore.list(store) for entry in page]
        ),
    }
    return {what: await goes_on_during(call) for what, call in calls.items()}


seen = asyncio.run(see())
for what, goes_on in seen.items():
    print(f"{what}: the event loop {'goes on' if goes_on else 'stands still'}")
sys.exit(list(seen.values()) != [True, False, True, True])
PYTHON
