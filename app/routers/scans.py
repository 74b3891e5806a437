"""The door for virus scanners: what they have found in a file."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app import errors
from app.core.scans import Scan
from app.http.lean_route import LeanRoute
from app.http.permissions import CanWriteScans, Res
from app.http.problems import responses
from app.http.rendering import FILE_EXAMPLE, Moment, json_response, members
from app.scans.verdicts import MAX_REASON, give_verdict

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=LeanRoute)


class VerdictBody(BaseModel):
    """A scanner's verdict."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"scan": "infected", "reason": "Win.Test.EICAR_HDB-1"}},
    )

    scan: Literal["clean", "infected", "failed"]
    reason: Annotated[
        str | None,
        StringConstraints(max_length=MAX_REASON, pattern=r"^[^\x00-\x1f\x7f]*$"),
        Field(description="A line: what was found, or why the file could not be scanned"),
    ] = None


class ScanBody(BaseModel):
    """A file's verdict."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": FILE_EXAMPLE["id"],
                "scan": "infected",
                "scan_reason": "Win.Test.EICAR_HDB-1",
                "scanned_at": "2026-11-22T19:07:21.113052Z",
                "links_end_at": None,
            }
        }
    )

    id: UUID
    scan: Scan
    scan_reason: str | None
    scanned_at: Moment
    links_end_at: Moment | None = Field(
        description="When the last link ends that was made before; null where there was none, or "
        "the object was deleted"
    )


_json = members(ScanBody)


@router.put(
    "/{file_id}/scan",
    operation_id="putFileScan",
    response_model=ScanBody,
    summary="Say what a virus scanner has found",
    responses=responses(
        errors.FileNotFound,
        errors.FileQuarantined,
        errors.DatabaseUnavailable,
    ),
)
async def put(file_id: UUID, body: VerdictBody, caller: CanWriteScans, res: Res) -> Response:
    """For scanners of your own, which read the object by `bucket`, `key` and `version_id`: links to
    it follow the last verdict. Needs `files:all` as well for the files of others.
    """
    file = await give_verdict(res, caller, file_id, Scan(body.scan), body.reason)
    return json_response(_json(file))
