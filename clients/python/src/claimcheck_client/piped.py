"""The story of a pipe: sent in parts as they come, for nobody knows its size before its end.

The service takes such files by the routes that Uppy uses (docs/uppy.md). No more than the parts
that are under way lies on this machine's disk; so nothing can be resumed, and what was sent of a
pipe that fails is dropped.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from claimcheck_client.errors import ClaimcheckError
from claimcheck_client.source import PIPED, Body, Source
from claimcheck_client.steps import (
    Answer,
    Do,
    Http,
    Limit,
    Progress,
    Steps,
    Together,
    persist,
    request,
)
from claimcheck_client.types import File
from claimcheck_client.upload import Wanted, require_taken

# The destination takes no parts of unknown size, or the session none.
REFUSES_PIPES = ("parts-not-offered", "size-required")
_MOST_PARTS = 10_000
# Names that mean something else to these routes, and values that they take for none.
_NAMES = {"name", "type", "size", "destination", "checksum_md5", "relativePath"}
_NO_VALUE = ("", "null", "undefined")


def can_be_piped(wanted: Wanted) -> bool:
    """Whether these routes can be told all that is announced; they put nothing into a record."""
    if wanted.attach_to is not None:
        return False
    metadata = wanted.announcement.get("metadata", {})
    return not _NAMES & metadata.keys() and not any(v in _NO_VALUE for v in metadata.values())


def upload_piped(wanted: Wanted) -> Steps[File]:
    """Upload all of a pipe; the file as the service has it. Raises ClaimcheckError."""
    said = wanted.announcement
    size = yield from _part_size(said["destination"])
    metadata = {**said.get("metadata", {}), "destination": said["destination"]}
    if "path" in said:
        metadata["relativePath"] = said["path"]
    body = {"filename": said["filename"], "type": said.get("content_type"), "metadata": metadata}
    begun = yield from request("POST", "/uppy/s3/multipart", json=body)
    upload_id: str = begun["uploadId"]
    try:
        count = yield from _send(wanted, upload_id, size)
        parts = [{"PartNumber": number} for number in range(1, count + 1)]
        # Its answer may be 200 and a failure; what became of it is for the confirm to say.
        path = f"/uppy/s3/multipart/{upload_id}/complete"
        yield from request("POST", path, json={"parts": parts})
        file: File = yield from request("POST", f"/v1/uploads/{upload_id}/confirm")
    except Exception:
        with suppress(ClaimcheckError):  # else it is swept away
            yield from request("DELETE", f"/v1/uploads/{upload_id}", retries=1)
        raise
    return file


def _part_size(destination: str) -> Steps[int]:
    """Bytes of a part, such that the largest file of the destination has no more than 10,000."""
    known = yield from request("GET", "/v1/destinations")
    most = max((d["max_size"] for d in known["items"] if d["name"] == destination), default=0)
    return max(PIPED, -(-most // _MOST_PARTS))


class _Parts:
    """A pipe in parts, each read into a source of its own when it is asked for."""

    def __init__(self, first: Source, size: int) -> None:
        self._lock = threading.Lock()
        self._last, self._size = first, size
        self.count = 0

    @property
    def are_left(self) -> bool:
        return self.count == 0 or self._last.rest is not None

    def next(self) -> tuple[int, Source] | None:
        """The next part, by its number; None where the pipe has ended."""
        with self._lock:
            if self.count == 0:
                self._last.fill(self._size)
            elif self._last.rest is None:
                return None
            else:
                self._last = Source(self._last.rest, self._size)
                if self._last.size == 0:
                    self._last.close()
                    return None
            self.count += 1
            return self.count, self._last


def _send(wanted: Wanted, upload_id: str, size: int) -> Steps[int]:
    """Send the pipe to its end; how many parts it had."""
    parts = _Parts(wanted.source, size)
    progress, limit = Progress(0, wanted.on_progress), Limit(wanted.parallel)

    def stories() -> Iterator[Steps[None]]:
        while parts.are_left:
            yield one()

    def one() -> Steps[None]:
        found: tuple[int, Source] | None = yield Do(parts.next)
        if found is None:
            return
        number, source = found
        try:
            md5 = yield Do(partial(source.digest, "md5"))
            how = {
                "part_numbers": [number],
                # They count where the destination has `integrity`.
                "checksums_md5": [base64.b64encode(md5).decode()],
            }
            yield from persist(partial(send, number, source, how))
        finally:
            source.close()

    def send(number: int, source: Source, how: dict[str, Any], failures: int) -> Steps[None]:
        if failures:
            limit.failed()
        signed = yield from request("POST", f"/v1/uploads/{upload_id}/parts", json=how)
        [part] = signed["parts"]
        progress.reset(number)
        body = Body(source, 0, source.size, partial(progress.add, number))
        begun = time.monotonic()
        answer: Answer = yield Http("PUT", part["url"], part.get("headers", {}), body, source.size)
        require_taken(answer)
        limit.took(time.monotonic() - begun)

    yield Together(stories(), limit)
    return parts.count
