#!/usr/bin/env bash
# opendal (Python): `with operator.open(path, "wb") as file` makes an object of what was written so far
# when its block ends with an exception, or when its task is cancelled: `__exit__` and `__aexit__` close
# the file, which sends the PUT or joins the parts. The object that was there before is replaced by half
# a file. The same holds of the service `fs` with `atomic_write_dir`, which is to show whole files alone.
# The binding has no `abort`, which the Rust library has for this; a file that is neither closed nor used
# in a `with` leaves no object. smart_open 9.0.2 and obstore 0.12.1 abort such an upload.
# Here it matters to whoever copies files into or out of a bucket with it: half a file has a size, an ETag
# and an event like a whole one, and `claimcheck adopt` takes it for one.
#
# Seen with opendal 0.47.12, moto 5.2.5, Python 3.11, where 12 of 18 MiB were written:
#   S3, exception: 12 MiB
#   S3, cancelled: 12 MiB
#   fs, exception: 12 MiB
#   S3, neither closed nor with: old
# Expected: old, each time.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check opendal==0.47.12 "moto[server]==5.2.5"
"$scratch/venv/bin/python" - "$scratch" 2>"$scratch/log" <<'PYTHON'
import asyncio
import sys
import urllib.request

import opendal
from moto.server import ThreadedMotoServer

CHUNK = bytes(6 << 20)


def write_some(operator):
    """Write two chunks of three."""
    try:
        with operator.open("file", "wb") as file:
            file.write(CHUNK)
            file.write(CHUNK)
            raise OSError("the third chunk cannot be read")
    except OSError as error:
        assert "third" in str(error)


async def write_until_cancelled(operator):
    written = asyncio.Event()

    async def write():
        async with await operator.open("file", "wb") as file:
            await file.write(CHUNK)
            await file.write(CHUNK)
            written.set()
            await asyncio.Event().wait()  # the third chunk does not come

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def write_without_close(operator):
    file = operator.open("file", "wb")
    file.write(CHUNK)
    file.write(CHUNK)


def there(operator):
    found = bytes(operator.read("file"))
    return "old" if found == b"old" else f"{len(found) >> 20} MiB"


server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT"))
s3 = {"bucket": "bucket", "endpoint": endpoint, "region": "us-east-1"}
s3 |= {"access_key_id": "key", "secret_access_key": "secret"}
bucket = opendal.Operator("s3", **s3)
folder = opendal.Operator("fs", root=f"{sys.argv[1]}/files", atomic_write_dir=f"{sys.argv[1]}/begun")
seen = []
for name, operator, write in (
    ("S3, exception", bucket, write_some),
    ("S3, cancelled", bucket, lambda _: asyncio.run(write_until_cancelled(opendal.AsyncOperator("s3", **s3)))),
    ("fs, exception", folder, write_some),
    ("S3, neither closed nor with", bucket, write_without_close),
):
    operator.write("file", b"old")
    write(operator)
    seen.append(there(operator))
    print(f"{name}: {seen[-1]}")
server.stop()
sys.exit(seen != ["12 MiB", "12 MiB", "12 MiB", "old"])
PYTHON
