"""Answers as JSON: a file with its links, as the routes of uploads and files show it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from app.core.metadata import read_metadata
from app.core.scans import Scan
from app.files.links import Link, NotServed, content_urls, read_links, scan_of
from app.files.seals import seals_of
from app.models.files import File, Seal
from app.runtime.resources import Resources, in_utc
from app.turns import Turn

# Files that are written without a look at the clock.
_AT_ONCE: Final = 8
# Bytes that are put together and sent at once.
_PIECE: Final = 256 * 1024

Moment = Annotated[datetime, AfterValidator(in_utc)]

# In bodies with something signed. Absent where the time that is told is sure.
MayEndSooner = Annotated[
    bool,
    Field(
        description="True where the service signs with a session token whose end it does not know: "
        "what it signed may end before the time that is told, together with the token"
    ),
]


class Paging(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


FILE_EXAMPLE: dict[str, Any] = {
    "id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "state": "confirmed",
    "destination": "images",
    "key": "images/11-22-2026_19-07-09-123456--holiday.png",
    "url": "https://s3.eu-central-1.amazonaws.com/my-bucket/images/"
    "11-22-2026_19-07-09-123456--holiday.png",
    "filename": "Holiday.png",
    "path": "Spring/harbour/Holiday.png",
    "metadata": {"album": "spring", "page": 3},
    "content_type": "image/png",
    "announced_type": "image/png",
    "detected_type": "image/png",
    "image": {"width": 640, "height": 480, "orientation": 1, "animated": False},
    "archive": None,
    "size": 48213,
    "checksum_sha256": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
    "checksum_verified": True,
    "parts_verified": False,
    "etag": '"9b2cf535f27731c974343645a3985328"',
    "version_id": "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
    "sealed": "version",
    "created_at": "2026-11-22T19:07:09.123456Z",
    "confirmed_at": "2026-11-22T19:07:11.502311Z",
    "scan": "clean",
    "scanned_at": "2026-11-22T19:07:12.113052Z",
    "presigned_url": "https://my-bucket.s3.eu-central-1.amazonaws.com/images/"
    "11-22-2026_19-07-09-123456--holiday.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&...",
    "presigned_url_expires_at": "2026-11-22T20:07:11Z",
    "content_url": "/v1/files/019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51/content"
    "?grant=1795379400.59dd712ea8c83c643552551f9f90a811",
}


class ImageBody(BaseModel):
    """An image, as its header says."""

    width: int = Field(description="Pixels, as they are stored")
    height: int = Field(description="Pixels, as they are stored")
    orientation: int = Field(
        description="How they are to be turned, as Exif numbers it: 1 not at all, 6 by a quarter "
        "to the right; from 5 on width and height change places"
    )
    animated: bool = Field(description="Whether it has more than one frame")


class ArchiveBody(BaseModel):
    """An archive, as its directory says; all but `judged` are null where that was not read."""

    judged: bool = Field(
        description="False for what is no zip, for directories of more than 8 MiB and for broken "
        "or ambiguous ones"
    )
    entries: int | None
    unpacked_size: int | None = Field(description="Bytes of all entries together, unpacked")
    encrypted: bool | None = Field(description="Whether any entry is")
    symlinks: bool | None = Field(description="Whether any entry is a symbolic link")


class FileBody(BaseModel):
    """A confirmed file. `url` is for keeping; `presigned_url` is for reading, and expires."""

    model_config = ConfigDict(json_schema_extra={"example": FILE_EXAMPLE})

    id: UUID
    state: str
    destination: str
    key: str
    url: str
    filename: str
    path: str | None = Field(
        description="Where it lay in the folder that was uploaded, null where there was none"
    )
    metadata: dict[str, str | bool | int | float] = Field(description="As it was given")
    content_type: str = Field(
        description="As announced, or what the contents are where the destination corrects that; "
        "links serve it where that is safe, plain text with its charset"
    )
    announced_type: str = Field(description="As announced; the object is stored with it")
    detected_type: str | None = Field(description="What the contents were found to be")
    image: ImageBody | None = Field(
        description="Of images, where the destination has `max_pixels`; null also where the size "
        "is not known"
    )
    archive: ArchiveBody | None = Field(
        description="Of archives, where the destination has `archives`"
    )
    size: int = Field(description="Bytes")
    checksum_sha256: str | None = Field(description="Base64")
    checksum_verified: bool = Field(
        description="Whether the bucket itself computed this checksum; it does not for files in "
        "parts, and without it the checksum is what the client said"
    )
    parts_verified: bool = Field(
        description="Whether the bucket holds the bytes whose MD5s were announced, of each part or "
        "of the one request; false where the destination has no `integrity`"
    )
    etag: str | None
    version_id: str | None = Field(description="The version that every link pins")
    sealed: Seal = Field(
        description="What keeps the bytes from being replaced with what the uploader still holds: "
        "links that pin the version; parts joined by the service; a condition that the store "
        "obeys; or nothing. Only what `claimcheck doctor` has proved for the bucket counts"
    )
    created_at: Moment
    confirmed_at: Moment
    scan: Scan | None = Field(
        description="What the virus scanner said, null where none is asked. Links are made once it "
        "is `clean`; of `failed` files where the destination says so"
    )
    scan_reason: str | None = Field(
        default=None, description="What was found, or why it could not be scanned"
    )
    scanned_at: Moment | None
    links_end_at: Moment | None = Field(
        default=None,
        description="Where a verdict lets no more links be made: when the last one made before it "
        "ends. Null where there was none, or the object was deleted with the verdict",
    )
    presigned_url: str | None = Field(description="Null until the file may be read: see `scan`")
    presigned_url_expires_at: Moment | None
    may_end_sooner: MayEndSooner = False
    content_url: str | None = Field(
        description="For `<img src>`: redirects to a fresh link, without a bearer, for as long as "
        "`presigned_url` lives; with `&reader=script` it answers with a link for scripts. A path "
        "on this service; null where the destination has none"
    )


def members(
    model: type[BaseModel], *, but: tuple[str, ...] = ()
) -> Callable[[Any], dict[str, Any]]:
    """Makes a function that gives an object's attributes as the JSON object of the model's fields.

    Without those in `but`.
    """
    names = tuple(name for name in model.model_fields if name not in but)
    values = attrgetter(*names)
    return lambda row: dict(zip(names, values(row), strict=True))


def ends_sooner(res: Resources) -> dict[str, bool]:
    """`may_end_sooner` for a body with something signed, where that is so."""
    return {"may_end_sooner": True} if res.credentials.has_unknown_end else {}


def signed(link: Link | NotServed) -> dict[str, Any]:
    """The members of a body for a link; null where there is none."""
    if not isinstance(link, Link):
        return {"presigned_url": None, "presigned_url_expires_at": None}
    return {"presigned_url": link.url, "presigned_url_expires_at": written_moment(link.expires_at)}


# The links of a window end together, as do the uploads of a batch, and a moment takes longer to
# write than all else of a link.
@lru_cache(maxsize=64)
def written_moment(moment: datetime) -> str:
    written: str = from_json(to_json(moment))
    return written


async def file_json(res: Resources, files: Sequence[File]) -> list[dict[str, Any]]:
    """The JSON of each file (`FileBody`), in order, their links signed in one pass.

    Written out, because lists have many files: `members` takes twice as long, and building a model
    of each file, or writing a UUID as JSON, longer than signing its link.
    """
    links, seals = await read_links(res, files), await seals_of(res, files)
    sooner, shown, turn = ends_sooner(res), [], Turn()
    for file, link, seal, content_url in zip(
        files, links, seals, content_urls(res, files), strict=True
    ):
        shown.append(
            {
                "id": str(file.id),
                "state": file.state,
                "destination": file.destination,
                "key": file.key,
                "url": file.url,
                "filename": file.filename,
                "path": file.path,
                "metadata": read_metadata(file.metadata),
                "content_type": file.content_type,
                "announced_type": file.announced_type or file.content_type,
                "detected_type": file.detected_type,
                "image": file.image and from_json(file.image),
                "archive": file.archive and from_json(file.archive),
                "size": file.size,
                "checksum_sha256": file.checksum_sha256,
                "checksum_verified": file.checksum_verified,
                "parts_verified": file.parts_verified,
                "etag": file.etag,
                "version_id": file.version_id,
                "sealed": seal,
                "created_at": file.created_at,
                "confirmed_at": file.confirmed_at,
                "scan": scan_of(res, file),
                "scan_reason": file.scan_reason,
                "scanned_at": file.scanned_at,
                "links_end_at": file.links_end_at,
                **signed(link),
                "content_url": content_url,
                **sooner,
            }
        )
        if len(shown) % _AT_ONCE == 0:
            await turn.over()
    return shown


async def file_response(res: Resources, file: File) -> Response:
    [body] = await file_json(res, [file])
    return json_response(body)


class _Json(Response):
    """JSON. Its headers are written as they go out, where Starlette searches them for its own."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
        ]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))


def json_response(
    content: Any, headers: dict[str, str] | None = None, status: int = 200
) -> Response:
    """An answer whose content, as the route's `response_model` has it, is written unchecked."""
    return _Json(to_json(content), status, headers)


async def long_json_response(content: Mapping[str, Any] | Iterator[Any]) -> Response:
    """As `json_response`, of a list or an object with lists, which may be long. Their items are
    written in turns with other requests, and made so, where an iterator makes them.
    """
    parts: list[bytes] = []
    if isinstance(content, Mapping):
        for name, value in content.items():
            parts += (b"," if parts else b"{", to_json(name), b":")
            await _add_long(parts, value)
        parts.append(b"}" if parts else b"{}")
    else:
        await _add_long(parts, content)
    return _LongJson(parts)


async def _add_long(parts: list[bytes], value: Any) -> None:
    if not isinstance(value, (list, Iterator)):
        parts.append(to_json(value))
        return
    turn, before = Turn(), b"["
    for item in value:
        parts += (before, to_json(item))
        before = b","
        await turn.over()
    parts.append(b"]" if before == b"," else b"[]")


class _LongJson(_Json):
    """JSON that is put together and sent piece by piece, in turns with other requests: MiB take
    long.
    """

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        super().__init__()

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        super().init_headers(headers)
        self.raw_headers[0] = (b"content-length", b"%d" % sum(map(len, self._parts)))

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        status, headers = self.status_code, self.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        turn, start, length = Turn(), 0, 0
        for end, part in enumerate(self._parts, start=1):
            length += len(part)
            if length >= _PIECE:
                piece = b"".join(self._parts[start:end])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                start, length = end, 0
                await turn.over()
        await send({"type": "http.response.body", "body": b"".join(self._parts[start:])})
