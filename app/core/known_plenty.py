"""What there were very many of lately, so that nobody counts them again at once. Pure."""

from collections.abc import Hashable
from datetime import datetime
from typing import Final

LIMIT: Final = 1000


class KnownPlenty:
    """Things, each until a moment of its own. Bounded: the one noted first makes room."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._until: dict[Hashable, datetime] = {}

    def holds(self, thing: Hashable, now: datetime) -> bool:
        until = self._until.get(thing)
        return until is not None and now < until

    def note(self, thing: Hashable, until: datetime) -> None:
        """Take there to be very many of it until then, that moment excluded."""
        self._until.pop(thing, None)
        if len(self._until) >= self._limit:
            del self._until[next(iter(self._until))]
        self._until[thing] = until
