"""Unfinished uploads, remembered in the user's cache directory, by what is in the file.

An entry is a file that is locked as long as somebody works on its upload, in any process.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt

    def lock(file: IO[Any]) -> None:
        """Have the file for oneself until it is closed; OSError where another has it."""
        file.seek(0)  # from where on it locks
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def lock(file: IO[Any]) -> None:
        """Have the file for oneself until it is closed; OSError where another has it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_KEPT = 30 * 86_400  # seconds for which an unfinished upload is remembered


def cache_directory() -> Path | None:
    """Where this user's programs keep what can be made again (on Linux XDG_CACHE_HOME).

    None where the user has no home.
    """
    try:
        if sys.platform == "win32":
            return Path(
                os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local", "claimcheck"
            )
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "claimcheck"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "claimcheck")
    except RuntimeError:
        return None


class Entry:
    """The memory of one upload: its `id` and `part_size`. It is ours until `close`."""

    def __init__(self, path: Path | None, file: IO[str] | None) -> None:
        self._path, self._file = path, file
        self.found: dict[str, Any] = {}
        if file is not None:
            with suppress(ValueError):
                found = json.loads(file.read() or "{}")
                self.found = found if isinstance(found, dict) else {}

    def save(self, **found: Any) -> None:
        """Remember this instead. Where the disk has no room for it, nothing is remembered."""
        self.found = found
        if self._file is not None:
            with suppress(OSError):
                self._file.seek(0)
                self._file.truncate()
                json.dump(found, self._file)
                self._file.flush()

    def forget(self) -> None:
        self.save()

    def close(self) -> None:
        if self._file is None or self._path is None:
            return
        if not self.found:
            with suppress(OSError):
                self._path.unlink()
        self._file.close()
        self._file = None


def remembered(folder: Path, *names: Any) -> Entry:
    """The entry of these names, which may be any JSON.

    One that remembers nothing where another process, or thread, has it, or the folder cannot be
    written to: then the file is sent all the same, but not resumed.
    """
    name = hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}.json"
    file = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _drop_old(folder)
        file = path.open("a+", encoding="utf-8")
        lock(file)
        file.seek(0)
        return Entry(path, file)
    except OSError:
        if file is not None:
            file.close()
        return Entry(None, None)


def _drop_old(folder: Path) -> None:
    for other in folder.glob("*.json"):
        with suppress(OSError):
            if other.stat().st_mtime < time.time() - _KEPT:
                other.unlink()
