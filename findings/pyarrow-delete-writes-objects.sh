#!/usr/bin/env bash
# pyarrow: `S3FileSystem.delete_file("bucket/folder/a")` deletes `folder/a` and then writes an empty object
# `folder/`, so that the folder outlives its files, as in a file system; also where other files are in it, and
# each time again. `move` does it to the folder that it takes a file from. In a bucket with versions each
# delete adds a version that nobody looks for, and who may delete but not write is told that the delete
# failed, after it was done. Its documentation does not say it, and `allow_bucket_creation` and
# `check_directory_existence_before_creation` change nothing.
# Here it matters to buckets that others clean up with it: `claimcheck adopt` passes by such objects.
#
# Seen with pyarrow 26.0.1, moto 5.2.5, boto3 1.44.5, Python 3.11, of folder/a to folder/d:
#   after three deletes: folder/ folder/d, versions of folder/: 3
#   after a move of the last to other/d: folder/ other/d, versions of folder/: 4
# Expected: folder/d, then other/d, and no version of folder/.
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill "$server"
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  pyarrow==26.0.1 "moto[server]==5.2.5" boto3==1.44.5
port=$("$scratch/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$scratch/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$scratch/log" 2>&1 &
server=$!

"$scratch/venv/bin/python" - "$port" <<'PYTHON'
import sys
import time

import boto3
from botocore.exceptions import EndpointConnectionError
from pyarrow.fs import S3FileSystem

KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
s3 = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    region_name="us-east-1",
    aws_access_key_id=KEYS[0],
    aws_secret_access_key=KEYS[1],
)
for _ in range(240):
    try:
        s3.create_bucket(Bucket="bucket")
        break
    except EndpointConnectionError:
        time.sleep(0.5)
s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
for name in "abcd":
    s3.put_object(Bucket="bucket", Key=f"folder/{name}", Body=b"bytes")
arrow = S3FileSystem(
    access_key=KEYS[0],
    secret_key=KEYS[1],
    endpoint_override=f"127.0.0.1:{sys.argv[1]}",
    scheme="http",
    region="us-east-1",
    allow_bucket_creation=False,
    check_directory_existence_before_creation=True,
)


def now():
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]
    versions = s3.list_object_versions(Bucket="bucket").get("Versions", [])
    count = [each["Key"] for each in versions].count("folder/")
    return f"{' '.join(keys)}, versions of folder/: {count}"


for name in "abc":
    arrow.delete_file(f"bucket/folder/{name}")
deleted = now()
arrow.move("bucket/folder/d", "bucket/other/d")
moved = now()
print(f"after three deletes: {deleted}")
print(f"after a move of the last to other/d: {moved}")
expected = ("folder/ folder/d, versions of folder/: 3", "folder/ other/d, versions of folder/: 4")
sys.exit((deleted, moved) != expected)
PYTHON
