#!/usr/bin/env bash
# opendal (Python): `remove_all("film")`, which is to "remove all files and directories at the given path",
# removes `film2` and `film-cut/1` too, from S3 and from its service `memory`: it takes the path for the
# beginning of a key. From `fs` it removes the folder `film` alone, so that a test on a local folder does not
# show it. `delete("film", recursive=True)` does it as well. `remove_all("film/")` leaves the neighbours
# alone, and the object `film` with them. cloudpathlib 0.26.0's `rmtree` and s3fs 2026.9.0's
# `rm(..., recursive=True)` go by whole segments.
# Here it matters to whoever clears a folder of a bucket with it: keys that Claimcheck makes begin alike, by
# their moment or their owner.
#
# Seen with opendal 0.47.12, moto 5.2.5, Python 3.11, of film/1, film2 and film-cut/1:
#   S3, remove_all("film"): nothing
#   S3, delete("film", recursive=True): nothing
#   S3, remove_all("film/"): film-cut/1 film2
#   fs, remove_all("film"): film-cut/1 film2
#   memory, remove_all("film"): nothing
# Expected: film-cut/1 film2, each time.
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill "$server"
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check opendal==0.47.12 "moto[server]==5.2.5"
port=$("$scratch/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$scratch/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$scratch/log" 2>&1 &
server=$!

"$scratch/venv/bin/python" - "$scratch" "$port" <<'PYTHON'
import sys
import time
import urllib.error
import urllib.request

import opendal

endpoint = f"http://127.0.0.1:{sys.argv[2]}"
for _ in range(240):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT"))
        break
    except urllib.error.URLError:
        time.sleep(0.5)
s3 = opendal.Operator(
    "s3",
    bucket="bucket",
    endpoint=endpoint,
    region="us-east-1",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
)
fs = opendal.Operator("fs", root=f"{sys.argv[1]}/folder")
memory = opendal.Operator("memory")


def left_by(operator, remove, *path, **options):
    """What is left of three files."""
    for name in ("film/1", "film2", "film-cut/1"):
        operator.write(name, b"bytes")
    getattr(operator, remove)(*path, **options)
    entries = [entry.path for entry in operator.list("", recursive=True)]
    return " ".join(sorted(path for path in entries if not path.endswith("/"))) or "nothing"


seen = {
    'S3, remove_all("film")': left_by(s3, "remove_all", "film"),
    'S3, delete("film", recursive=True)': left_by(s3, "delete", "film", recursive=True),
    'S3, remove_all("film/")': left_by(s3, "remove_all", "film/"),
    'fs, remove_all("film")': left_by(fs, "remove_all", "film"),
    'memory, remove_all("film")': left_by(memory, "remove_all", "film"),
}
for what, left in seen.items():
    print(f"{what}: {left}")
others = "film-cut/1 film2"
sys.exit(list(seen.values()) != ["nothing", "nothing", others, others, "nothing"])
PYTHON
