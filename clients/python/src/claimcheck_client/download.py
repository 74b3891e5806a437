"""The story of a download: it goes on where it stopped, in the same bytes or not at all.

What has come stands in a hidden file beside the path, whose name holds the file's id and ETag, and
which is locked as long as somebody works on it, in any process.
Links pin what was confirmed; where a bucket cannot pin it (`sealed` is "no"), `If-Match` does.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from functools import partial
from io import BufferedRandom
from pathlib import Path
from typing import IO

from claimcheck_client import calls
from claimcheck_client.errors import BucketError, FileChanged, Unreachable
from claimcheck_client.memory import lock
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
    part: _Part = yield Do(partial(_Part, target, file))
    try:
        yield from _Download(file, part.out, Progress(file["size"], on_progress)).told()
        yield Do(partial(part.move, target, file))
    except FileChanged:
        part.is_kept = False
        raise
    finally:
        part.close()
    return target


class _Part:
    """The part of a file that has come, in `out`: ours until `close`, which removes it unless it
    `is_kept` for the next run.

    While another run has it, this one begins a part of its own, with which nobody goes on.
    """

    def __init__(self, target: Path, file: File) -> None:
        label = hashlib.sha256(f"{file['id']} {file['etag']}".encode()).hexdigest()[:16]
        # Names have 255 bytes at most, and a character up to four of them.
        self._path = target.with_name(f".{target.name[:50]}.{label}.part")
        self.out: BufferedRandom = self._path.open("a+b")
        try:
            lock(self.out)
            # Else whoever had it has moved it to its place in between.
            self.is_kept = os.path.samestat(os.fstat(self.out.fileno()), self._path.stat())
        except OSError:
            self.is_kept = False
        if self.is_kept:
            self.out.seek(0, os.SEEK_END)
            if self.out.tell() > file["size"]:
                self.out.truncate(0)
                self.out.seek(0)
        else:
            self.out.close()
            self._path = self._path.with_suffix(f".{secrets.token_hex(8)}.part")
            self.out = self._path.open("x+b")

    def move(self, target: Path, file: File) -> None:
        """Put it in its place. Raises FileChanged where these are not the file's bytes."""
        self.out.flush()
        is_whole = os.fstat(self.out.fileno()).st_size == file["size"]
        if is_whole and file["checksum_verified"] and file["checksum_sha256"]:
            self.out.seek(0)
            found = hashlib.file_digest(self.out, "sha256").digest()
            is_whole = base64.b64encode(found).decode() == file["checksum_sha256"]
        if not is_whole:
            raise FileChanged("The bytes that came are not those that were confirmed; try again.")
        self._release()
        self._path.replace(target)
        self.is_kept = True

    def close(self) -> None:
        if not self.is_kept:
            self._release()
            self._path.unlink(missing_ok=True)
        self.out.close()

    def _release(self) -> None:
        if sys.platform == "win32":
            self.out.close()  # an open file can be neither moved nor removed there


class _Download:
    def __init__(self, file: File, out: IO[bytes], progress: Progress) -> None:
        self._file, self._out, self._progress = file, out, progress
        self._link = file["presigned_url"]

    def told(self) -> Steps[None]:
        while (have := self._out.tell()) < self._file["size"]:
            self._progress.reset(1, have)
            # Each that brings some bytes succeeds, and so failures are counted anew.
            yield from persist(self._more)

    def _more(self, failures: int) -> Steps[None]:
        out, have = self._out, self._out.tell()
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
