"""Settings of the fields of record types, and names of one record's fields. Pure."""

import re
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.core.destination import Scopes

# Written alike by every system, URL and log: visible ASCII without `/`, which separates path
# segments, and `,`, which separates ids in a query. `.` and `..` are path segments that resolve.
RECORD_ID: Final = re.compile(r"[!-+\-.0-~]{1,200}")
MAX_FILES: Final = 100


def is_record_id(text: str) -> bool:
    """Whether the text can be a record's id."""
    return RECORD_ID.fullmatch(text) is not None and text not in {".", ".."}


class FieldPath(NamedTuple):
    """A field of one record; `id` is the record's, chosen by the system that has the record."""

    type: str
    id: str
    field: str


class RecordField(BaseModel):
    """One field of a type of records: it holds one file, or with `many` an ordered list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    destination: str
    many: bool = False
    max_files: Annotated[int, Field(ge=1, le=MAX_FILES)] = 20
    # All of these are needed to change the field, besides `records:write`.
    scopes: Scopes = ()

    @property
    def capacity(self) -> int:
        """The number of files that the field can hold."""
        return self.max_files if self.many else 1
