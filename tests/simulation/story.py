"""The history of a world: a line for whatever happened, without anything that differs by chance."""

import re
from collections.abc import Callable
from typing import Any, Final

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Story:
    """Lines with their virtual time; ids are told as `#1`, `#2` in the order of their first time.

    `echo` is called with each line as it is told.
    """

    def __init__(
        self, time: Callable[[], float], echo: Callable[[str], None] | None = None
    ) -> None:
        self._time, self._echo = time, echo
        self._ids: dict[str, str] = {}
        self._kinds: dict[str, int] = {}
        self.lines: list[str] = []

    def call(self, what: str, identity: object) -> str:
        """The name of a thing: `file 3`."""
        key = str(identity)
        if key not in self._ids:
            self._kinds[what] = self._kinds.get(what, 0) + 1
            self._ids[key] = f"{what} {self._kinds[what]}"
        return self._ids[key]

    def tell(self, who: str, what: str, **data: Any) -> None:
        more = ", ".join(f"{name} {self._said(value)}" for name, value in data.items())
        line = f"{self._time():12.4f}  {who} {self._said(what)}{': ' if more else ''}{more}"
        self.lines.append(line)
        if self._echo is not None:
            self._echo(line)

    def _said(self, value: Any) -> str:
        return _UUID.sub(lambda found: self.call("id", found[0]), str(value))
