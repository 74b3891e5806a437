"""A bounded memory of strings. Pure."""


class Recent:
    """Strings by string: of those that were asked for lately `limit` at most, and half as many at
    least.

    Unlike the entries of `functools.lru_cache`, which are five objects each to the garbage
    collector, none of these is one: it goes through the rest in a fraction of the time.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._new: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._forgotten: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: str) -> str | None:
        found = self._new.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.note(key, found)
        return found

    def note(self, key: str, value: str) -> None:
        """Remember it. Where half of the limit is new, what is older is forgotten; and let go of
        one by one, for thousands at once would take as long as some announcements.
        """
        if len(self._new) >= self._half:
            self._forgotten, self._old, self._new = self._old, self._new, {}
        if self._forgotten:
            self._forgotten.popitem()
        self._new[key] = value
