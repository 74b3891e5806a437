"""If-Match and If-None-Match of a request that changes something (RFC 9110 section 13.1). Pure."""

import re
from dataclasses import dataclass
from typing import Final, Self

_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LIST: Final = re.compile(rf"[ \t,]*{_TAG.pattern}(?:[ \t]*,[ \t,]*{_TAG.pattern})*[ \t,]*")


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The entity tags of If-Match and If-None-Match, or `*`; None where a header is absent."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    @classmethod
    def parse(cls, if_match: str | None, if_none_match: str | None) -> Self:
        """Parse the two headers' values. Raises ValueError for one that is neither `*` nor tags."""
        return cls(
            None if if_match is None else _tags(if_match),
            None if if_none_match is None else _tags(if_none_match),
        )

    def hold(self, etag: str | None, *, filled: bool) -> bool:
        """Whether the preconditions hold for a resource with this entity tag (None: there is none).

        `*` is compared with `filled`, whether the target has a value: the target may be a field,
        where the tag is its whole record's. A weak tag never satisfies If-Match (section 13.1.1).
        """
        if self.match is not None:
            matches = filled if "*" in self.match else etag in self.match
            if not matches:
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
