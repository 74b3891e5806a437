"""The story of a download: it goes on where it stopped, in the same bytes or not at all.

What has come stands in a hidden file beside the path, whose name holds the file's id and ETag.
Links pin what was confirmed; where a bucket cannot pin it (`sealed` is "no"), `If-Match` does.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from claimcheck_client import calls
from claimcheck_client.errors import BucketError, ClaimcheckError, FileChanged, Unreachable
from claimcheck_client.source import Source
from claimcheck_client.steps import Answer, Do, Http, Progress, Steps, persist
from claimcheck_client.types import File


def download(
    file: str | File,
    path: str | os.PathLike[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Steps[Path]:
    """Download a file, given by its id or as an upload returns it; where it lies then: at the path,
    or in it under its own name if it is a folder.

    What is at the path is replaced once all has come, and nothing that is in a folder: whoever has
    uploaded the file chose its name. `on_progress` is called with bytes so far and bytes of all.
    Raises Problem, Unreachable, BucketError, FileChanged, OSError.
    """
    file = yield from calls.file(file if isinstance(file, str) else file["id"])
    target = Path(path)
    if target.is_dir():
        target /= _own_name(file)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    label = hashlib.sha256(f"{file['id']} {file['etag']}".encode()).hexdigest()[:16]
    part = target.with_name(f".{target.name[:200]}.{label}.part")
    yield from _Download(file, part, Progress(file["size"], on_progress)).told()
    if file["checksum_verified"] and file["checksum_sha256"]:
        yield Do(partial(_require_sum, part, file["checksum_sha256"]))
    yield Do(partial(os.replace, part, target))
    return target


class _Download:
    def __init__(self, file: File, part: Path, progress: Progress) -> None:
        self._file, self._part, self._progress = file, part, progress
        self._link = file["presigned_url"]

    def told(self) -> Steps[None]:
        with self._part.open("ab") as out:
            while (have := out.tell()) < self._file["size"]:
                self._progress.reset(1, have)
                # Each that brings some bytes succeeds, and so failures are counted anew.
                yield from persist(partial(self._more, out))

    def _more(self, out: IO[bytes], failures: int) -> Steps[None]:
        have = out.tell()
        if failures or self._link is None:
            self._link = yield from calls.link(self._file["id"])
        headers = {"accept-encoding": "identity"}
        if have:
            headers["range"] = f"bytes={have}-"
        if self._file["etag"]:
            headers["if-match"] = self._file["etag"]

        def take(status: int, said: Mapping[str, str]) -> Callable[[bytes], None] | None:
            if status == 200 and have:
                out.truncate(0)  # the store knows no ranges
                out.seek(0)
                self._progress.reset(1)
            elif status == 206 and not said.get("content-range", "").startswith(f"bytes {have}-"):
                return None
            return write if status in (200, 206) else None

        def write(block: bytes) -> None:
            out.write(block)
            self._progress.add(1, len(block))

        try:
            answer: Answer = yield Http("GET", self._link, headers, open=take)
        except Unreachable:
            if out.tell() > have:
                return
            raise
        if answer.status == 412:
            raise FileChanged("The bucket holds other bytes than were confirmed.")
        if answer.status not in (200, 206):
            text = answer.content.decode(errors="replace")
            raise BucketError(answer.status, text, answer.headers.get("retry-after"))
        if out.tell() == have:
            raise Unreachable("The bucket sent nothing of the file.")
        if out.tell() > self._file["size"]:
            raise FileChanged("The bucket sent more bytes than were confirmed.")


def _own_name(file: File) -> str:
    """The file's name without any folder, or its id where that leaves nothing."""
    name = file["filename"].replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return file["id"] if name in ("", ".", "..") else name


def _require_sum(part: Path, checksum: str) -> None:
    source = Source(part)
    try:
        is_right = base64.b64encode(source.digest("sha256")).decode() == checksum
    finally:
        source.close()
    if not is_right:
        part.unlink()
        raise ClaimcheckError("The bytes that came are not those of the checksum; try again.")
