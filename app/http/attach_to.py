"""How requests name records and their fields."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.core.principal import Principal, Scope
from app.core.record_field import RECORD_ID, FieldPath, is_record_id
from app.errors import RecordNotFound, TooManyFiles, UnknownRecordField, WrongDestination
from app.http.permissions import require

# What a confirm answers besides, where the file is to go into a record.
ATTACH_PROBLEMS = (UnknownRecordField, RecordNotFound, WrongDestination, TooManyFiles)

_ID = "What your own system knows the record by: up to 200 visible ASCII characters without / and ,"
_DECLARED = "As declared in the settings"


def _record_id(text: str) -> str:
    if not is_record_id(text):
        raise ValueError(
            "must be 1 to 200 visible ASCII characters without '/' and ',', and not '.' or '..'"
        )
    return text


RecordId = Annotated[
    str,
    Path(description=_ID, max_length=200, pattern=f"^{RECORD_ID.pattern}$", examples=["42"]),
    AfterValidator(_record_id),
]
RecordType = Annotated[str, Path(description=_DECLARED, max_length=63, examples=["product"])]
FieldName = Annotated[str, Path(description=_DECLARED, max_length=63, examples=["picture"])]


class AttachTo(BaseModel):
    """The field of a record that a file shall go into; where it takes many, as the last one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"type": "product", "id": "42", "field": "picture"}},
    )

    type: Annotated[str, StringConstraints(max_length=63), Field(description=_DECLARED)]
    id: Annotated[
        str,
        Field(description=_ID, max_length=200, pattern=f"^{RECORD_ID.pattern}$"),
        AfterValidator(_record_id),
    ]
    field: Annotated[str, StringConstraints(max_length=63), Field(description=_DECLARED)]


def field_path(caller: Principal, attach_to: AttachTo | None) -> FieldPath | None:
    """The field to put a file into.

    Raises InsufficientScope for those who may not write records, an upload session among them.
    """
    if attach_to is None:
        return None
    require(caller, Scope.RECORDS_WRITE)
    return FieldPath(attach_to.type, attach_to.id, attach_to.field)
