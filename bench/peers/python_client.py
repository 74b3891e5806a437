"""Upload a file by clients/python; prints the seconds that it took, and its most memory in MiB.

`python -m bench.peers.python_client SERVICE FILE PARALLEL PART_SIZE`; the service chooses the part
size.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from claimcheck_client import Client


def main() -> None:
    service, path, parallel, _ = sys.argv[1:]
    with Client(service, parallel=int(parallel), cache=None) as client:
        start = time.perf_counter()
        client.upload(path, "large")
        seconds = time.perf_counter() - start
    # Not ru_maxrss, which has the most memory of the process before exec in it (getrusage(2)).
    status = Path("/proc/self/status").read_text()
    memory = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "memory": memory}))  # noqa: T201


if __name__ == "__main__":
    main()
