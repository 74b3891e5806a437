"""The embedded S3 as a process: `python -m app.embedded.s3_server`. For development only.

It keeps objects in a temporary directory, listens on loopback only, and loses everything when it
ends. The key pair comes from EMBEDDED_S3_ACCESS_KEY and EMBEDDED_S3_SECRET_KEY.
Once it answers it prints one line of JSON: `{"endpoint_url": "...", "directory": "...",
"note": "..."}`. `app.embedded.s3` starts it as a child, and removes the directory should it be
killed.
"""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.serving import ThreadedWSGIServer

from app.embedded.gate import Gate
from app.embedded.gate_keys import Keys
from app.embedded.gate_request import GateRequestHandler

ACCESS_KEY_VARIABLE = "EMBEDDED_S3_ACCESS_KEY"
SECRET_KEY_VARIABLE = "EMBEDDED_S3_SECRET_KEY"  # noqa: S105  the variable's name, not a secret

_PARENT_POLL_SECONDS = 0.3
# Each has a descriptor, one more while a file is open, and up to half a megabyte of buffers.
_MAX_CONNECTIONS = 40
# That many more wait in the kernel. Beyond it connections are refused silently, and their clients
# try again after 1, 2, 4 ... seconds (tcp(7), tcp_syn_retries).
_MAX_WAITING = 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the process `--parent-pid`."""
    parser = argparse.ArgumentParser(
        prog="python -m app.embedded.s3_server",
        description="An S3 server on loopback that forgets everything. For development only.",
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--parent-pid", type=int, help="end when this process, our parent, does")
    parser.add_argument("--temporary-keys", type=Path, help="file of write_temporary_keys")
    options = parser.parse_args(arguments)
    # Not arguments: those are visible to every user of the machine.
    access_key = os.environ.pop(ACCESS_KEY_VARIABLE, "")
    secret_key = os.environ.pop(SECRET_KEY_VARIABLE, "")
    if not access_key or not secret_key:
        parser.error(
            f"set {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE} to the key pair to accept"
        )

    tempfile.tempdir = tempfile.mkdtemp(prefix="claimcheck-s3-")
    atexit.register(_remove, tempfile.tempdir)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    logging.basicConfig(level=logging.WARNING, format="embedded S3: %(message)s")
    if options.parent_pid is not None:
        watch = threading.Thread(target=_end_with, args=(options.parent_pid,), daemon=True)
        watch.start()
    gate = Gate(Keys(access_key, secret_key, options.temporary_keys))
    server = _Server("127.0.0.1", options.port, gate, GateRequestHandler)
    ready = {
        "endpoint_url": f"http://127.0.0.1:{server.port}",
        "directory": tempfile.tempdir,
        "note": "embedded S3 for development only: everything vanishes when it ends",
    }
    try:
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The parent has ended meanwhile. Not sys.exit, which would flush standard output again.
        _remove(tempfile.tempdir)
        os._exit(0)
    server.serve_forever()


class _Server(ThreadedWSGIServer):
    """One thread for each connection, and so many connections at once."""

    request_queue_size = _MAX_WAITING

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._free = threading.Semaphore(_MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _end_with(parent: int) -> None:
    # Not PR_SET_PDEATHSIG: it fires when the thread that started us ends, also when its process
    # lives on, and only Linux has it. A parent that was killed before this line counts as well.
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_SECONDS)
    _remove(tempfile.gettempdir())
    os._exit(0)


def _remove(directory: str) -> None:
    # Threads may still write there: start_s3 looks again, once we have ended.
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
