"""The feed of what has become of files and records."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app import errors
from app.core.scans import Scan
from app.events.feed import LATEST, read_feed
from app.events.show import events_json
from app.http.connections import LimitedProtocol
from app.http.lean_route import LeanRoute
from app.http.permissions import CanReadEvents, Res
from app.http.problems import responses
from app.http.rendering import FILE_EXAMPLE, ArchiveBody, ImageBody, Moment, long_json_response
from app.models.events import EventType
from app.models.files import Seal
from app.models.webhooks import Ended

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=LeanRoute)

MAX_WAIT: Final = 20
_LINKS: Final = ("presigned_url", "presigned_url_expires_at", "content_url")
_DATA_EXAMPLE: Final = {
    **{name: value for name, value in FILE_EXAMPLE.items() if name not in _LINKS},
    "owner": "ann",
    "file_request_id": None,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019ac8a0-85fe-7b0c-9a61-2c5d8f0e4b77",
    "type": "file.confirmed",
    "created_at": FILE_EXAMPLE["confirmed_at"],
    "tenant": "",
    "data": _DATA_EXAMPLE,
}


class EventFile(BaseModel):
    """A file, or an upload that became none, as the event left it; links are asked for by its id.

    The members are those of `FileBody`.
    """

    model_config = ConfigDict(json_schema_extra={"example": _DATA_EXAMPLE | {"reason": None}})

    id: UUID
    state: str
    reason: str | None = Field(description="Why an upload was rejected")
    owner: str
    destination: str
    key: str
    url: str
    filename: str
    path: str | None
    metadata: dict[str, str | bool | int | float]
    file_request_id: UUID | None = Field(description="The request for files by which it was sent")
    content_type: str
    announced_type: str
    detected_type: str | None
    image: ImageBody | None
    archive: ArchiveBody | None
    size: int | None = Field(description="Bytes; null where nobody ever knew")
    checksum_sha256: str | None
    checksum_verified: bool
    parts_verified: bool
    etag: str | None
    version_id: str | None
    sealed: Seal
    scan: Scan | None
    scan_reason: str | None
    scanned_at: Moment | None
    links_end_at: Moment | None
    created_at: Moment
    confirmed_at: Moment | None


class HeldFile(BaseModel):
    """A file in a field of a record."""

    file_id: UUID
    url: str
    filename: str
    content_type: str
    size: int


class EventRecord(BaseModel):
    """A record as the change left it: in each of its fields a file or null, or a list.

    One that was forgotten holds nothing.
    """

    type: str
    id: str
    owner: str
    etag: str
    fields: dict[str, HeldFile | list[HeldFile] | None]


class EventWebhook(BaseModel):
    """A webhook that was switched off, or is being tried out."""

    id: UUID
    url: str
    ended: Ended | None


class EventBody(BaseModel):
    """An event: something has happened to a file, a record or a webhook."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID = Field(description="A reader that has seen it before has seen the event before")
    type: EventType
    created_at: datetime
    tenant: str
    data: EventFile | EventRecord | EventWebhook


class EventPage(BaseModel):
    """Events in order; pass `cursor` as `after` for those that come next."""

    items: list[EventBody]
    cursor: str


def _known_types(value: str) -> str:
    if not set(value.split(",")) <= set(EventType):
        raise ValueError(f"name some of {', '.join(EventType)}")
    return value


class FeedParameters(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[
        str | None,
        Field(
            max_length=18,
            pattern=rf"^(\d{{1,18}}|{LATEST})$",
            description="The `cursor` of the answer before; `latest`: no events, but the cursor "
            "behind the last one. Without it: from the first that is kept",
        ),
    ] = None
    types: Annotated[
        str | None,
        Field(max_length=255, description="These alone, separated by commas"),
        AfterValidator(lambda value: value if value is None else _known_types(value)),
    ] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[
        int,
        Field(ge=0, le=MAX_WAIT, description="Seconds to wait for an event where there is none"),
    ] = 0


@router.get(
    "",
    operation_id="readEvents",
    response_model=EventPage,
    summary="Read what has become of files and records, and wait for more",
    responses=responses(errors.CursorExpired, errors.DatabaseUnavailable),
)
async def read(
    asked: Annotated[FeedParameters, Query()],
    caller: CanReadEvents,
    res: Res,
    request: Request,
) -> Response:
    """Each event once, those of a file in the order in which they happened; with `files:all` the
    whole tenant's. Events are written from the first reading on, and kept for 30 days, or as the
    settings say. Keep `cursor` once you have done what the events ask of you, and read on with it:
    none is ever skipped.
    """
    types = None if asked.types is None else asked.types.split(",")
    loop = asyncio.get_running_loop()
    end, after = loop.time() + asked.wait, asked.after
    while True:
        # Before it is looked, so that nothing is missed between.
        woken = res.wake.next()
        page = await read_feed(res, caller, after, types, asked.limit)
        left = end - loop.time()
        if page.events or left <= 0 or after == LATEST or LimitedProtocol.stopping:
            break
        after = page.cursor
        if page.is_last:
            await res.wake.wait(woken, left)
        if await request.is_disconnected():
            # As of a body that does not come. Nobody is there to read it.
            raise HTTPException(400)
    items = await events_json(res, page.events)
    return await long_json_response({"items": items, "cursor": page.cursor})
