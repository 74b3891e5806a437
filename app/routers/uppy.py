"""Uppy's door: the routes of a Companion server that `@uppy/aws-s3` 5 and 6 use, `/uppy/s3/...`.

docs/uppy.md shows how to point Uppy here. The protocol is Companion's own (its
`src/server/controllers/s3.ts`) as both majors' clients use it. The `uploadId` that they get is the
id of our row; what they repeat of it, the key, must be the row's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import to_json

from app import errors
from app.access.destinations import destination_named
from app.core.content_types import MAX_GIVEN_TYPE, announced_content_type
from app.core.destination import MAX_DESTINATION, MAX_SINGLE_UPLOAD
from app.core.integrity import MD5_LENGTH, MD5_PATTERN
from app.core.key_normalizer import MAX_GIVEN_NAME
from app.core.object_url import MAX_KEY_BYTES
from app.core.parts import MAX_PARTS
from app.core.principal import Principal
from app.http.lean_route import LeanRoute
from app.http.permissions import LINKS_CHARGED, CanUpload, Res, charge
from app.http.problems import uppy_members
from app.http.rendering import json_response, long_json_response
from app.http.uppy_metadata import (
    UppyMetadata,
    checksum_in,
    metadata_in_query,
    said_of_file,
    size_in,
    word,
)
from app.models.files import File
from app.runtime.resources import Resources
from app.store.signer import PresignedPost
from app.uploads.announce import (
    PartInstructions,
    announce_as_uppy,
    announce_files,
    announce_unsized,
)
from app.uploads.confirm import confirm_upload
from app.uploads.lookup import get_upload
from app.uploads.parts import list_parts, sign_parts
from app.uploads.remove import cancel_upload
from app.uploads.rules import Announcement

_T = TypeVar("_T")
_Function = TypeVar("_Function", bound=Callable[..., Any])
router = APIRouter(route_class=LeanRoute, include_in_schema=False)

# Seconds for which completion may answer with a status of its own; routers give up after 30.
ANSWER_SECONDS: Final = 20.0
# Then as many between two signs of life; Heroku's router gives up after 55.
HEARTBEAT_SECONDS: Final = 10.0
# Seconds for which completion is tried again while bucket or database are away, and between two
# tries: at first, then doubled, and at most.
RETRY_SECONDS: Final = 300.0
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 15.0
_JSON: Final = "application/json"
_PartNumbers = Annotated[
    str, Query(alias="partNumbers", max_length=6000, pattern="^[0-9]{1,5}(,[0-9]{1,5}){0,999}$")
]
# Uppy repeats the key that it was given.
_Key = Annotated[str | None, Query(max_length=MAX_KEY_BYTES)]
_Filename = Annotated[str, Field(max_length=MAX_GIVEN_NAME)]
_Type = Annotated[
    str | None,
    Field(max_length=MAX_GIVEN_TYPE),
    BeforeValidator(lambda said: said if isinstance(said, str) else None),
]


class MultipartStart(BaseModel):
    """A file that is about to be sent in parts."""

    filename: _Filename
    type: _Type = None
    metadata: Annotated[
        UppyMetadata, BeforeValidator(lambda said: said if isinstance(said, dict) else {})
    ] = UppyMetadata()


class SentPart(BaseModel):
    """A part that Uppy has sent. Its ETag is the bucket's to say."""

    part_number: Annotated[int, Field(alias="PartNumber", ge=1, le=MAX_PARTS)]


class SentParts(BaseModel):
    """All parts of the file."""

    parts: Annotated[list[SentPart], Field(min_length=1, max_length=MAX_PARTS)]


def _route(method: str, path: str) -> Callable[[_Function], _Function]:
    """The function answers there, below Uppy's endpoint, whether or not that ends in /to/..."""

    def add(function: _Function) -> _Function:
        for endpoint in ("/uppy", "/uppy/to/{destination}"):
            router.add_api_route(f"{endpoint}/s3{path}", function, methods=[method])
        return function

    return add


@_route("GET", "/params")
async def params(
    request: Request,
    filename: _Filename,
    caller: CanUpload,
    res: Res,
    content_type: Annotated[str | None, Query(alias="type", max_length=MAX_GIVEN_TYPE)] = None,
    named: Annotated[
        str | None, Query(alias="metadata[destination]", max_length=MAX_DESTINATION)
    ] = None,
    said_size: Annotated[str | None, Query(alias="metadata[size]", max_length=100)] = None,
    checksum: Annotated[str | None, Query(alias="metadata[checksum_md5]", max_length=100)] = None,
) -> Response:
    """Instructions for a file in one piece.

    A form, which carries the size that Uppy says in its metadata, or the destination's range; for
    Uppy 5 a PUT where the destination has that.
    """
    destination = destination_named(res.settings, _destination(res, caller, request, word(named)))
    takes_put = _wants_json(request)
    if destination.method != "post" and not (destination.method == "put" and takes_put):
        raise errors.FormNotOffered(
            f"Destination {destination.name} takes no upload forms. In Uppy, set "
            "`shouldUseMultipart: true`."
        )
    size = size_in(said_size)
    if size is not None and size > MAX_SINGLE_UPLOAD:
        raise errors.FormNotOffered(
            "No store takes more than 5 GiB in one request. In Uppy, set `shouldUseMultipart` so "
            "that it is true for such files."
        )
    announcement = Announcement(
        destination.name,
        filename,
        announced_content_type(content_type),
        size=size,
        checksum_md5=checksum_in(checksum),
        method=destination.method,
        **said_of_file(metadata_in_query(request)),
    )
    [answer] = await announce_files(res, caller, [announcement])
    if isinstance(answer, errors.Problem):
        raise answer
    signed = answer.instructions
    assert signed is not None
    body: dict[str, Any] = {"expires": _seconds(res, signed.expires_at)}
    if isinstance(signed, PresignedPost):
        # Uppy 6.0 appends the key to the URL as it is.
        body |= {"method": "POST", "url": signed.url.rstrip("/") + "/", "fields": signed.fields}
    else:
        assert not isinstance(signed, PartInstructions)
        # Not sent to the bucket: Uppy 5 reports this key when the upload has succeeded.
        fields = {"key": answer.file.key, "bucket": answer.file.bucket}
        body |= {"method": "PUT", "url": signed.url, "headers": signed.headers, "fields": fields}
    return json_response(body)


@_route("GET", "/sts")
async def sts(_: CanUpload) -> Response:
    """Refused: with credentials a browser could write any key, of any size and type."""
    raise errors.CredentialsNotOffered(
        "This service gives browsers no S3 credentials; it signs each request. In Uppy, leave out "
        "`getTemporarySecurityCredentials`."
    )


@_route("POST", "/multipart")
async def create(start: MultipartStart, request: Request, caller: CanUpload, res: Res) -> Response:
    """Begin an upload in parts."""
    destination = _destination(res, caller, request, start.metadata.destination)
    content_type = announced_content_type(start.type)
    size = start.metadata.size
    announced = destination, start.filename, content_type
    said = start.metadata.said()
    if size is None:
        file = await announce_unsized(res, caller, *announced, **said)
    else:
        file = await announce_as_uppy(res, caller, *announced, size, **said)
    return json_response({"key": file.key, "uploadId": file.id, "bucket": file.bucket})


@_route("GET", "/multipart/{upload_id}/batch")
async def sign_batch(
    upload_id: UUID,
    part_numbers: _PartNumbers,
    caller: CanUpload,
    res: Res,
    request: Request,
    key: _Key = None,
) -> Response:
    """URLs for several parts, which some older clients ask for."""
    await _own(res, caller, upload_id, key)
    numbers = [int(number) for number in part_numbers.split(",")]
    await charge(request, caller, (len(numbers) - 1) // LINKS_CHARGED)
    signed = await sign_parts(res, caller, upload_id, numbers)
    urls = {str(part.part_number): part.url for part in signed.parts}
    return json_response({"presignedUrls": urls})


@_route("GET", "/multipart/{upload_id}/{part_number}")
async def sign(
    upload_id: UUID,
    part_number: int,
    caller: CanUpload,
    res: Res,
    key: _Key = None,
    checksum: Annotated[
        str | None, Query(alias="checksum_md5", max_length=MD5_LENGTH, pattern=MD5_PATTERN)
    ] = None,
) -> Response:
    """The URL for one part; a client that was away for long asks again."""
    await _own(res, caller, upload_id, key)
    checksums = None if checksum is None else [checksum]
    signed = await sign_parts(res, caller, upload_id, [part_number], checksums)
    [part] = signed.parts
    headers = {} if part.headers is None else {"headers": part.headers}
    expires = _seconds(res, signed.expires_at)
    return json_response({"method": "PUT", "url": part.url, "expires": expires, **headers})


@_route("GET", "/multipart/{upload_id}")
async def list_sent_parts(
    upload_id: UUID, caller: CanUpload, res: Res, key: _Key = None
) -> Response:
    """The parts that the bucket has."""
    await _own(res, caller, upload_id, key)
    known = await list_parts(res, caller, upload_id)
    return await long_json_response(
        # Uppy sends a part again that has no ETag here; any ETag will do.
        {"PartNumber": part.part_number, "Size": part.size, "ETag": part.etag or '"joined"'}
        for part in known.parts
    )


@_route("POST", "/multipart/{upload_id}/complete")
async def complete(
    upload_id: UUID,
    sent: SentParts,
    request: Request,
    caller: CanUpload,
    res: Res,
    key: _Key = None,
) -> Response:
    """Have the parts joined, and answer when they are a file, however long that takes.

    Uppy knows no "not yet": it takes an answer for the end, and a closed connection for a failure.
    So white space is sent for as long as the bucket works, which JSON allows in front. Uppy 5 drops
    an upload whose completion failed; so a failure that will pass is waited out.
    """
    numbers = {part.part_number for part in sent.parts}
    if len(numbers) != max(numbers):
        words = "must be numbered from 1 without gaps"
        raise errors.ValidationFailed(
            f"parts: {words}.", errors=[{"loc": ["parts"], "message": words}]
        )

    async def confirm() -> File:
        return await confirm_upload(
            res, caller, upload_id, wait_seconds=None, part_count=len(numbers)
        )

    async def join() -> File:
        # Each request is checked by itself; what is shared has been allowed to all who wait for it.
        await _retried(partial(_own, res, caller, upload_id, key))
        # However often one caller asks for the same, one task waits for the bucket. It goes on when
        # Uppy goes away, which then finds the file when it comes again.
        name = "complete", caller.identity, upload_id, len(numbers)
        return await asyncio.shield(res.background.share(name, lambda: _retried(confirm)))

    work = asyncio.create_task(join())
    done, _ = await asyncio.wait({work}, timeout=ANSWER_SECONDS)
    if done:
        return json_response(_completed(work.result()))
    return StreamingResponse(_completed_late(work, request), media_type=_JSON)


@_route("DELETE", "/multipart/{upload_id}")
async def abort(upload_id: UUID, caller: CanUpload, res: Res, key: _Key = None) -> Response:
    """Drop the upload, unless it is a file or about to be one.

    Uppy 5 also asks for this when it has lost patience with a completion that goes on here.
    """
    try:
        file = await get_upload(res, caller, upload_id)
    except errors.UploadNotFound:
        return json_response({})
    _require_key(file, key)
    with suppress(errors.UploadNotPending, errors.RemovalUnderWay):
        await cancel_upload(res, caller, upload_id)
    return json_response({})


async def _retried(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do it again for as long as bucket or database are away, within reason."""
    loop = asyncio.get_running_loop()
    end = loop.time() + RETRY_SECONDS
    wait = FIRST_WAIT
    while True:
        try:
            return await work()
        except (errors.BucketUnavailable, errors.DatabaseUnavailable):
            if loop.time() + wait > end:
                raise
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _completed(file: File) -> dict[str, str]:
    return {"location": file.url, "key": file.key, "bucket": file.bucket}


async def _completed_late(work: asyncio.Task[File], request: Request) -> AsyncIterator[bytes]:
    """White space until the work has ended, then its outcome: the status is 200 already."""
    done: set[asyncio.Task[File]] = set()
    try:
        while not done:
            yield b" "
            done, _ = await asyncio.wait({work}, timeout=HEARTBEAT_SECONDS)
    finally:
        work.cancel()  # the request's own part, where its client is gone
    if not work.cancelled() and work.exception() is None:
        yield to_json(_completed(work.result()))
        return
    error = None if work.cancelled() else work.exception()
    problem = (
        error if isinstance(error, errors.Problem) else errors.InternalError("The service failed.")
    )
    yield late_failure(problem, request.headers.get("accept", ""))


def late_failure(problem: errors.Problem, accept: str) -> bytes:
    """The body of a failure after status 200, such as this client does not take for success."""
    if _JSON in accept:
        # Uppy 5, to which a body with `error` is a failure.
        return to_json(uppy_members(problem))
    # To Uppy 6 any JSON is success, so this is none.
    return problem.detail.encode()


async def _own(res: Resources, caller: Principal, upload_id: UUID, key: str | None) -> None:
    """Refuse other people's uploads, and a key that is not the upload's."""
    _require_key(await get_upload(res, caller, upload_id), key)


def _require_key(file: File, key: str | None) -> None:
    if key is not None and key != file.key:
        raise errors.UploadNotFound("No upload of yours has this id and key.")


def _destination(
    res: Resources, caller: Principal, request: Request, in_metadata: str | None
) -> str:
    """The destination's name: from the path, the query, Uppy's metadata, or the only one.

    An upload session has but one.
    """
    asked = (request.path_params.get("destination"), request.query_params.get("destination"))
    for name in (*asked, in_metadata):
        if name is not None:
            # It is told back where there is none of that name.
            return str(name)[:MAX_DESTINATION]
    names = sorted(d.name for d in res.settings.destinations.values() if d.admits(caller))
    if len(names) == 1:
        return names[0]
    raise errors.UnknownDestination(
        "Say where the file goes: end Uppy's endpoint in /to/<destination>, or set "
        f"`destination` in its metadata. There are: {', '.join(names)}."
    )


def _wants_json(request: Request) -> bool:
    """Whether it is Uppy 5, which says so; Uppy 6 takes `*/*`, as browsers do by themselves."""
    return _JSON in request.headers.get("accept", "")


def _seconds(res: Resources, expires_at: datetime) -> int:
    return int((expires_at - res.clock()).total_seconds())
