"""What a field of a type of records takes, and how a field of one record is named. Pure."""

import re
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.core.destination import Scopes

# What every system, URL and log writes alike: visible ASCII without `/`, which separates paths,
# and `,`, which separates ids in a query. `.` and `..` are steps in a path.
RECORD_ID: Final = re.compile(r"[!-+\-.0-~]{1,200}")
MAX_FILES: Final = 100


def is_record_id(text: str) -> bool:
    """Whether other systems' records may have this id here."""
    return RECORD_ID.fullmatch(text) is not None and text not in {".", ".."}


class FieldPath(NamedTuple):
    """A field of one record; `id` is the record's, which is the other system's to choose."""

    type: str
    id: str
    field: str


class RecordField(BaseModel):
    """One field of a type of records: it holds one file, or with `many` an ordered list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    destination: str
    many: bool = False
    max_files: Annotated[int, Field(ge=1, le=MAX_FILES)] = 20
    # Of whoever changes the field, all of them, besides `records:write`.
    scopes: Scopes = ()

    @property
    def capacity(self) -> int:
        return self.max_files if self.many else 1
