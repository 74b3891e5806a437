"""If-Match and If-None-Match of a request that changes something (RFC 9110 section 13.1). Pure."""

import re
from dataclasses import dataclass
from typing import Final, Self

_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LIST: Final = re.compile(rf"[ \t,]*{_TAG.pattern}(?:[ \t]*,[ \t,]*{_TAG.pattern})*[ \t,]*")


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must be so for a change to be made: entity tags, or `*`; None where nothing is asked."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    @classmethod
    def parse(cls, if_match: str | None, if_none_match: str | None) -> Self:
        """From the two headers' values; ValueError if one is neither `*` nor a list of tags."""
        return cls(
            None if if_match is None else _tags(if_match),
            None if if_none_match is None else _tags(if_none_match),
        )

    def hold(self, etag: str | None, *, filled: bool) -> bool:
        """Whether they do for what has this entity tag (None: it does not exist).

        `*` asks whether the target itself holds anything, `filled`: it may be a part of what has
        the tag. A weak tag never satisfies If-Match (section 13.1.1).
        """
        if self.match is not None:
            there = filled if "*" in self.match else etag in self.match
            if not there:
                return False
        if self.none_match is None:
            return True
        if "*" in self.none_match:
            return not filled
        return etag is None or not {etag, f"W/{etag}"} & self.none_match


def _tags(value: str) -> frozenset[str]:
    if value.strip(" \t") == "*":
        return frozenset({"*"})
    if not _LIST.fullmatch(value):
        raise ValueError("not a list of entity tags")
    return frozenset(_TAG.findall(value))
