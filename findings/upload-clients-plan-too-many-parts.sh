#!/usr/bin/env bash
# S3 takes no part beyond number 10,000 (AWS, userguide/qfacts). boto3 and the SDK for JavaScript make the parts
# of a large file larger for that, as they know its size before they begin. Four other clients know it as well,
# for they are given a path, and cut parts of one size all the same: the file fails at its 10,001st part, when
# 49 to 98 GiB of it have been sent and paid for.
#   obstore      `put(store, key, Path)`: 5 MiB, so files of up to 48.8 GiB; `chunk_size`
#   aioboto3     `upload_file`, which is to be boto3's: 8 MiB, 78.1 GiB; `Config=TransferConfig(...)`
#   pyarrow      `copy_files`: 10 MiB, 97.6 GiB; it cannot be set
#   @aws-lite/s3 `Upload`: 10 MiB, 97.6 GiB; `ChunkSize`
# None of them grows the parts on its way, or refuses the file. Part 10,001 is seen here with parts of 1 KiB.
# Here it matters to files that others put into the bucket: Claimcheck counts the parts when a file is announced.
#
# Seen with boto3 1.40.61, aioboto3 15.5.0, obstore 0.12.1, pyarrow 26.0.1, @aws-sdk/lib-storage 3.1169.0,
# @aws-lite/s3 0.2.7, Python 3.11, Node.js 20, of a file of 100 GiB, by the parts 1 to 50:
#   boto3: 16 MiB, 6400 parts
#   aioboto3: 8 MiB, 12800 parts
#   obstore: 5 MiB, 20480 parts
#   pyarrow: 10 MiB, 10240 parts
#   @aws-sdk/lib-storage: 10.24 MiB, 10000 parts
#   @aws-lite/s3: 10 MiB, 10240 parts
# and of one of 11 MiB with parts of 1 KiB:
#   boto3: 3 parts, none refused
#   aioboto3: 10000 parts, part 10001 refused
#   obstore: 10000 parts, part 10001 refused
# Expected: 10,000 parts at most, none refused.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  boto3==1.40.61 aioboto3==15.5.0 obstore==0.12.1 pyarrow==26.0.1
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  @aws-sdk/client-s3@3.1169.0 @aws-sdk/lib-storage@3.1169.0 @aws-lite/client@0.23.7 @aws-lite/s3@0.2.7
truncate --size 100G large
head --bytes 11M /dev/zero >small

cat >send.py <<'PYTHON'
import asyncio
import sys
from pathlib import Path

what, endpoint, path, key, size = *sys.argv[1:5], int(sys.argv[5])
KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
place = {
    "endpoint_url": endpoint,
    "region_name": "us-east-1",
    "aws_access_key_id": KEYS[0],
    "aws_secret_access_key": KEYS[1],
}
if what == "boto3":
    import boto3
    from boto3.s3.transfer import TransferConfig

    sizes = {"multipart_threshold": size, "multipart_chunksize": size, "io_chunksize": size} if size else {}
    config = TransferConfig(**sizes, max_concurrency=2)
    boto3.client("s3", **place).upload_file(path, "bucket", key, Config=config)
if what == "aioboto3":
    import aioboto3
    from boto3.s3.transfer import TransferConfig

    async def send():
        sizes = {"multipart_threshold": size, "multipart_chunksize": size, "io_chunksize": size} if size else {}
        config = TransferConfig(**sizes, max_concurrency=2)
        async with aioboto3.Session().client("s3", **place) as client:
            await client.upload_file(path, "bucket", key, Config=config)

    asyncio.run(send())
if what == "obstore":
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket="bucket",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=KEYS[0],
        secret_access_key=KEYS[1],
        client_options={"allow_http": True},
    )
    obstore.put(store, key, Path(path), **({"chunk_size": size, "max_concurrency": 2} if size else {}))
if what == "pyarrow":
    from pyarrow.fs import LocalFileSystem, S3FileSystem, copy_files

    bucket = S3FileSystem(
        access_key=KEYS[0],
        secret_key=KEYS[1],
        endpoint_override=endpoint.removeprefix("http://"),
        scheme="http",
        region="us-east-1",
    )
    copy_files(path, f"bucket/{key}", source_filesystem=LocalFileSystem(), destination_filesystem=bucket)
PYTHON
cat >send.mjs <<'JS'
import { createReadStream } from "node:fs";
import awsLite from "@aws-lite/client";
import s3 from "@aws-lite/s3";
import { S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const [what, endpoint, path, Key] = process.argv.slice(2);
const region = "us-east-1";
const keys = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00" };
if (what === "@aws-sdk/lib-storage") {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: keys });
  await new Upload({ client, params: { Bucket: "bucket", Key, Body: createReadStream(path) } }).done();
} else {
  const client = await awsLite({ endpoint, region, ...keys, plugins: [s3] });
  await client.S3.Upload({ Bucket: "bucket", Key, File: path });
}
JS

venv/bin/python - <<'PYTHON'
import http.server
import re
import subprocess
import sys
import threading
import time

BEGUN = b"""<?xml version="1.0" encoding="UTF-8"?>
<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket><Key>key</Key>
<UploadId>upload</UploadId></InitiateMultipartUploadResult>"""
JOINED = b"""<?xml version="1.0" encoding="UTF-8"?>
<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket><Key>key</Key>
<ETag>"0cc175b9c0f1b6a831c399e269772661-1"</ETag></CompleteMultipartUploadResult>"""
REFUSED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidArgument</Code>
<Message>Part number must be an integer between 1 and 10000, inclusive</Message></Error>"""


class Sent:
    """What a client sent of one file to a store that takes parts up to the number `last`."""

    def __init__(self, last):
        self.last, self.sizes, self.refused = last, {}, None


class Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    now = Sent(0)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def read(self):
        left = length = int(self.headers["Content-Length"] or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20))) or left
        return int(self.headers["x-amz-decoded-content-length"] or length)

    def do_PUT(self):
        number, size = int(re.search(r"partNumber=(\d+)", self.path)[1]), self.read()
        if number > self.now.last:
            self.now.refused = min(number, self.now.refused or number)
            self.answer(400, REFUSED)
        else:
            self.now.sizes[number] = size
            self.answer(200, ETag='"0cc175b9c0f1b6a831c399e269772661"')

    def do_POST(self):
        self.read()
        self.answer(200, BEGUN if "uploads" in self.path else JOINED)

    def do_DELETE(self):
        self.answer(204)

    def do_HEAD(self):
        self.answer(404)

    def log_message(self, *said):
        pass


store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
store.handle_error = lambda *_: None  # a client that is stopped while it sends
threading.Thread(target=store.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{store.server_port}"


def send(what, path, last, size=0):
    """Let a client send a file until it ends, or a moment longer than until a part is refused."""
    Store.now = sent = Sent(last)
    program = ["node", "send.mjs"] if what.startswith("@") else ["venv/bin/python", "send.py"]
    client = subprocess.Popen([*program, what, endpoint, path, "key", str(size)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while client.poll() is None and not sent.refused and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)  # several parts may be on their way
    client.kill()
    client.wait()
    return sent


seen = []
for what in ("boto3", "aioboto3", "obstore", "pyarrow", "@aws-sdk/lib-storage", "@aws-lite/s3"):
    sizes = set(send(what, "large", 50).sizes.values())
    each = " or ".join(f"{size / (1 << 20):.4g} MiB" for size in sorted(sizes))
    seen.append(f"{what}: {each}, {-(-(100 << 30) // max(sizes))} parts")
for what in ("boto3", "aioboto3", "obstore"):
    sent = send(what, "small", 10_000, 1024)
    refused = f"part {sent.refused}" if sent.refused else "none"
    seen.append(f"{what}: {len(sent.sizes)} parts, {refused} refused")
print("\n".join(seen))
sys.exit(
    seen
    != [
        "boto3: 16 MiB, 6400 parts",
        "aioboto3: 8 MiB, 12800 parts",
        "obstore: 5 MiB, 20480 parts",
        "pyarrow: 10 MiB, 10240 parts",
        "@aws-sdk/lib-storage: 10.24 MiB, 10000 parts",
        "@aws-lite/s3: 10 MiB, 10240 parts",
        "boto3: 3 parts, none refused",
        "aioboto3: 10000 parts, part 10001 refused",
        "obstore: 10000 parts, part 10001 refused",
    ]
)
PYTHON
