"""A bounded memory of things that have an end. Pure."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Expiring(Generic[_Key, _Value]):
    """Values by key, each until a moment of its own.

    Bounded: when there are `limit` of them, the one that was noted first makes room.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[_Key, tuple[_Value, datetime]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: _Key, now: datetime) -> _Value | None:
        found = self._known.get(key)
        if found is None:
            return None
        value, until = found
        if now < until:
            return value
        del self._known[key]
        return None

    def note(self, key: _Key, value: _Value, until: datetime) -> None:
        """Remember it until then, that moment excluded."""
        self._known.pop(key, None)
        if len(self._known) >= self._limit:
            self._known.popitem(last=False)
        self._known[key] = value, until

    def forget(self, is_unwanted: Callable[[_Value], bool]) -> None:
        """Forget the values for which the function returns True."""
        unwanted = [key for key, (value, _) in self._known.items() if is_unwanted(value)]
        for key in unwanted:
            del self._known[key]
