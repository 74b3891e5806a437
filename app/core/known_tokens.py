"""Tokens that were found good lately, so that not every request pays for that again. Pure."""

from datetime import datetime
from typing import Final

from app.core.principal import Principal

LIMIT: Final = 10_000


class KnownTokens:
    """Principals by the SHA-256 of their tokens, each until a moment of its own.

    Bounded: when it is full, the one that was noted first makes room.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: dict[bytes, tuple[Principal, datetime]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes, now: datetime) -> Principal | None:
        found = self._known.get(digest)
        if found is None:
            return None
        principal, until = found
        if now < until:
            return principal
        del self._known[digest]
        return None

    def note(self, digest: bytes, principal: Principal, until: datetime) -> None:
        """Take the token to be good until then, that moment excluded."""
        self._known.pop(digest, None)
        if len(self._known) >= self._limit:
            del self._known[next(iter(self._known))]
        self._known[digest] = principal, until

    def forget(self, credential: str) -> None:
        """Ask again about every token that was noted under this credential."""
        self._known = {
            digest: known
            for digest, known in self._known.items()
            if known[0].credential != credential
        }
