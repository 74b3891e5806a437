"""Narrowing: which of the caller's files a list has. Pure."""

import dataclasses
from dataclasses import KW_ONLY, dataclass
from operator import attrgetter
from typing import Final
from uuid import UUID

from app.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Files of a destination and a content type, with ids from `first` on and before `end`.

    None for any. `content_type` may be a family, as `image/*`. `loose`: files that no record holds.
    `q`: files whose names have each of its words in them, whatever the case; `metadata`: files
    with each of these values by name, numbers and booleans written as in JSON.
    """

    destination: str | None = None
    content_type: str | None = None
    first: UUID | None = None
    end: UUID | None = None
    loose: bool = False
    _: KW_ONLY
    q: str = ""
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def is_search(self) -> bool:
        """Whether it asks what no list has, and `app.db.blocks` finds."""
        return bool(self.q or self.metadata)

    @property
    def kind(self) -> dict[str, str]:
        """`family` of `image/*` is `image`, `content_type` that of one type; empty for any."""
        if self.content_type is None:
            return {}
        family = self.content_type.removesuffix("/*")
        return {"content_type" if family == self.content_type else "family": family}


# As astuple() has them, which looks for dataclasses within each.
_values: Final = attrgetter(*(field.name for field in dataclasses.fields(Narrowing)))


def list_name(narrowing: Narrowing, caller: Principal) -> str:
    """A name for this list of the caller's, so that other lists refuse its cursors."""
    whose = *caller.identity, caller.sees_tenant
    return repr(("files", *whose, *_values(narrowing)))
