"""Where long commands go on after an interruption."""

import json
from pathlib import Path


class Checkpoint:
    """The last compared key of each section, in a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.keys: dict[str, str] = {}
        self.done: list[str] = []
        if path is not None and path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            self.keys, self.done = saved["keys"], saved["done"]

    def save(self) -> None:
        if self._path is not None:
            text = json.dumps({"keys": self.keys, "done": self.done})
            # Written whole and then renamed, so that it is never half a file.
            beside = self._path.with_name(f"{self._path.name}.new")
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._path)

    def clear(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
