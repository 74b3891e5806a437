"""`claimcheck-upload FILE... --to DESTINATION`: upload files from a terminal or a script.

Exit status: 0, all are files now; 1, some are not; 2, it was called wrongly; 130, interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import IO, TextIO

from claimcheck_client.blocking import Client
from claimcheck_client.errors import ClaimcheckError
from claimcheck_client.sending import UploadOptions
from claimcheck_client.source import Given
from claimcheck_client.types import Field

_WIDTH = 24
_PAUSE = 0.2  # seconds between two drawings of a bar


class _Bar:
    """A line that tells how far a file is: on a terminal redrawn, elsewhere nothing."""

    def __init__(self, name: str, out: TextIO) -> None:
        self._name, self._out = name, out
        self._is_shown = out.isatty()
        self._begun = self._drawn = time.monotonic()

    def draw(self, sent: int, total: int) -> None:
        now = time.monotonic()
        if not self._is_shown or (now - self._drawn < _PAUSE and sent != total):
            return
        self._drawn = now
        speed = sent / 1e6 / max(now - self._begun, 0.001)
        if total:
            full = _WIDTH * sent // total
            line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {100 * sent // total:3}%"
        else:
            line = f"{sent / 1e6:,.1f} MB"
        self._out.write(f"\r{line} {speed:7.1f} MB/s  {self._name}\x1b[K")
        self._out.flush()

    def clear(self) -> None:
        if self._is_shown:
            self._out.write("\r\x1b[K")
            self._out.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claimcheck-upload",
        description="Upload files to Claimcheck. Called again after a failure, it goes on from "
        "what the bucket has of each.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a path, or - for what comes on standard input")
    add("--to", required=True, metavar="DESTINATION", help="the destination that takes them")
    add("--json", action="store_true", help="print each file as a line of JSON")
    add("--attach", type=_field, metavar="TYPE/ID/FIELD", help="put them into a record's field")
    add("--name", help="the name to store, needed for standard input")
    add("--metadata", action="append", type=_pair, default=[], metavar="NAME=VALUE")
    add("--parallel", type=int, default=8, help="requests to the bucket at once, at most (8)")
    add("--url", default=os.environ.get("CLAIMCHECK_URL"), help="else CLAIMCHECK_URL")
    return parser


def _field(text: str) -> Field:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise argparse.ArgumentTypeError("must be TYPE/ID/FIELD, as in product/42/video")
    return Field(type=parts[0], id=parts[1], field=parts[2])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    return name, value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if not given.url:
        parser.error("where is the service? Set CLAIMCHECK_URL, or say --url")
    if "-" in given.files and not given.name:
        parser.error("standard input has no name: say --name")
    if given.name and len(given.files) > 1:
        parser.error("--name is for one file")
    options = UploadOptions()
    if given.name:
        options["filename"] = given.name
    if given.metadata:
        options["metadata"] = dict(given.metadata)
    if given.attach:
        options["attach_to"] = given.attach
    # Else nothing is seen for a minute while the service is away.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("claimcheck_client").setLevel(logging.INFO)
    # In the environment alone: the command line is seen by every user of the machine.
    key = os.environ.get("CLAIMCHECK_KEY")
    try:
        service = Client(given.url, key, parallel=given.parallel)
    except ValueError as error:
        parser.error(str(error))
    with service as client:
        try:
            # Each is tried, whatever becomes of the others.
            taken = [_send(client, path, given.to, options, given.json) for path in given.files]
        except KeyboardInterrupt:
            sys.stderr.write("\nInterrupted. Call it again to go on.\n")
            return 130
    return 0 if all(taken) else 1


def _send(
    client: Client, path: str, destination: str, options: UploadOptions, as_json: bool
) -> bool:
    bar = _Bar(path, sys.stderr)
    source: Given = path
    if path == "-":
        stdin: IO[bytes] = sys.stdin.buffer
        source = stdin
    try:
        options["on_progress"] = bar.draw
        file = client.upload(source, destination, **options)
    except (ClaimcheckError, OSError) as error:
        bar.clear()
        sys.stderr.write(f"{path}: {_said(error)}\n")
        return False
    bar.clear()
    line = json.dumps(file) if as_json else f"{file['id']}  {path}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return True


def _said(error: ClaimcheckError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if error.status != 401:
        return str(error)
    is_set = bool(os.environ.get("CLAIMCHECK_KEY"))
    return f"{error} ({'It is that of CLAIMCHECK_KEY' if is_set else 'Set CLAIMCHECK_KEY'}.)"


if __name__ == "__main__":
    sys.exit(main())
