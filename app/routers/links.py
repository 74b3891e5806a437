"""Links to files: for many at once, and for pages, which hold a grant in place of a token."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app import errors
from app.core.principal import Principal
from app.files import links
from app.files.links import get_granted, read_link, read_links
from app.files.reading import MAX_PAGE, find_by_ids, get_readable, readable_by_ids, readable_by_urls
from app.http.lean_route import LeanRoute
from app.http.permissions import CanRead, CanReadOrHasGrant, Res, charge, count_failure
from app.http.problems import ProblemBody, headers, problem_body, request_id_of, responses
from app.http.rendering import (
    FILE_EXAMPLE,
    FileBody,
    MayEndSooner,
    Moment,
    ends_sooner,
    file_json,
    json_response,
    long_json_response,
)
from app.http.request_headers import header
from app.models.files import Readable
from app.runtime.resources import Resources
from app.turns import Turn

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=LeanRoute)

MAX_PRESIGN = 1000
_MISSING = "No file of yours has this id or URL."

_PROBLEMS = (errors.SigningUnavailable, errors.DatabaseUnavailable)
_Url = Annotated[str, StringConstraints(max_length=8192)]
_Reader = Literal["script"]


class LinksWanted(BaseModel):
    """Up to 1,000 files, by id or by the URL that a back end keeps."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ids": [FILE_EXAMPLE["id"]]}}
    )

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_PRESIGN)] | None = None
    urls: Annotated[list[_Url], Field(min_length=1, max_length=MAX_PRESIGN)] | None = None
    reader: _Reader | None = Field(
        default=None, description="`script`: links for `fetch()` and elements with `crossorigin`"
    )
    details: bool = Field(
        default=False,
        strict=True,
        description="Whether to answer with the files, as `GET /v1/files/{id}` does, and their "
        "owners. Not with `reader`",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.ids is None) == (self.urls is None):
            raise ValueError("give either ids or urls")
        if self.details and self.reader is not None:
            raise ValueError("give either details or reader")
        return self


class Link(BaseModel):
    """A link that reads a file until it expires."""

    id: UUID
    url: str
    presigned_url: str
    presigned_url_expires_at: Moment
    may_end_sooner: MayEndSooner = False


class FileDetails(FileBody):
    """A file, with whoever it belongs to. `presigned_url` is null while nobody may read it."""

    model_config = ConfigDict(json_schema_extra={"example": FILE_EXAMPLE | {"owner": "ann"}})

    owner: str


class NoLink(BaseModel):
    """There is no such file of the caller's, or its scanner lets nobody read it."""

    problem: ProblemBody


class Links(BaseModel):
    """The links, in the order in which they were asked for."""

    items: list[FileDetails | Link | NoLink]


def _link_json(res: Resources, file: Readable, link: links.Link) -> dict[str, Any]:
    return {
        "id": str(file.id),
        "url": file.url,
        "presigned_url": link.url,
        "presigned_url_expires_at": link.expires_at,
        **ends_sooner(res),
    }


def _item(
    res: Resources, file: Readable, link: links.Link | links.NotServed, request_id: str
) -> dict[str, Any]:
    if isinstance(link, links.Link):
        return _link_json(res, file, link)
    return {"problem": problem_body(link, request_id)}


@router.post(
    "/presign",
    operation_id="presignFiles",
    response_model=Links,
    summary="Get links for up to 1,000 files at once",
    responses=responses(*_PROBLEMS),
)
async def presign(body: LinksWanted, caller: CanRead, res: Res, request: Request) -> Response:
    """For back ends that keep ids or URLs in tables of their own. Answers in order; what is not a
    file of the caller's has a `problem` instead of a link.
    """
    # One for each 100, as in a list.
    await charge(request, caller, (len(body.ids or body.urls or []) - 1) // MAX_PAGE)
    if body.details:
        return await long_json_response({"items": await _details(res, caller, body, request)})
    if body.ids is not None:
        found = await readable_by_ids(res, caller, body.ids)
    else:
        found = await readable_by_urls(res, caller, body.urls or [])
    made = await read_links(
        res, [file for file in found if file is not None], for_scripts=body.reader is not None
    )
    missing, request_id = errors.FileNotFound(_MISSING), request_id_of(request.scope)
    found.reverse()
    made.reverse()

    def items() -> Iterator[dict[str, Any]]:
        # Each is let go of as it is written: all at once would hold others up.
        while found:
            if (file := found.pop()) is None:
                yield {"problem": problem_body(missing, request_id)}
            else:
                yield _item(res, file, made.pop(), request_id)

    return await long_json_response({"items": items()})


async def _details(
    res: Resources, caller: Principal, body: LinksWanted, request: Request
) -> Iterator[dict[str, Any]]:
    """The files whole, in order, with their owners; for each that is missing its problem."""
    ids: Sequence[UUID | None] | None = body.ids
    if ids is None:
        by_url = await readable_by_urls(res, caller, body.urls or [])
        ids = [file and file.id for file in by_url]
    asked = Counter(each for each in ids if each is not None)
    found = await find_by_ids(res, caller, list(asked))
    shown: dict[UUID, dict[str, Any]] = {}
    turn = Turn()
    for start in range(0, len(found), MAX_PAGE):
        page = found[start : start + MAX_PAGE]
        # To let go of all of them at once would hold others up.
        found[start : start + MAX_PAGE] = [None] * len(page)
        some = [file for file in page if file is not None]
        for file, body_of in zip(some, await file_json(res, some), strict=True):
            shown[file.id] = body_of | {"owner": file.owner}
        # What makes a page has turns of its own, and may be done within one.
        await turn.over()
    none = {"problem": problem_body(errors.FileNotFound(_MISSING), request_id_of(request.scope))}

    def item(each: UUID | None) -> dict[str, Any]:
        if each is None or each not in shown:
            return none
        asked[each] -= 1
        return shown[each] if asked[each] else shown.pop(each)

    return map(item, ids)


@router.get(
    "/{file_id}/content",
    operation_id="readFile",
    summary="Go to a fresh link, or get it",
    status_code=302,
    response_class=RedirectResponse,
    openapi_extra={"security": [{}]},  # or a grant
    responses={
        **responses(
            errors.InvalidGrant,
            errors.FileNotFound,
            errors.InvalidFilename,
            errors.ScanPending,
            errors.FileQuarantined,
            *_PROBLEMS,
        ),
        200: {"model": Link, "description": "With `reader=script`: a link for scripts"},
        302: headers({"Location": "The presigned link"}),
    },
)
async def content(
    file_id: UUID,
    caller: CanReadOrHasGrant,
    res: Res,
    request: Request,
    grant: Annotated[
        str | None, Query(max_length=100, description="That of `content_url`, instead of a bearer")
    ] = None,
    disposition: Annotated[
        Literal["inline", "attachment"] | None,
        Query(
            description="Types that a browser could run are downloaded in any case; without it, "
            "the link is the very one that is the file's `presigned_url`"
        ),
    ] = None,
    filename: Annotated[
        str | None,
        Query(max_length=1020, description="The name to save under, else the file's own"),
    ] = None,
    reader: Annotated[
        _Reader | None,
        Query(
            description="`script`: answer with a link as JSON, for `fetch()` and elements with "
            "`crossorigin`. From pages of another origin these cannot follow a redirect, nor read "
            "what the page has shown by the same link"
        ),
    ] = None,
) -> Response:
    """Redirects to a presigned link, for `<a href>` and `<img src>`, or tells a script of one.

    Pages use the file's `content_url`, which needs no bearer until it ends.
    """
    if caller is None:
        try:
            file = await get_granted(res, file_id, grant or "")
        except errors.InvalidGrant:
            await count_failure(request)
            raise
    else:
        file = await get_readable(res, caller, file_id)
    redirecting = reader is None
    is_head = redirecting and request.scope["state"].get("is_head")
    link = await read_link(
        res,
        file,
        disposition=disposition,
        filename=filename,
        redirecting=redirecting,
        for_scripts=not redirecting or _is_from_our_script(request),
        method="HEAD" if is_head else "GET",
    )
    if not redirecting:
        return json_response(_link_json(res, file, link))
    # The presigned URL is quoted already; RedirectResponse would quote it again.
    return Response(status_code=302, headers={"Location": link.url})


def _is_from_our_script(request: Request) -> bool:
    """Whether a script of our own origin asks, which can follow a redirect (W3C Fetch Metadata)."""
    site, mode = (header(request.scope, name) for name in (b"sec-fetch-site", b"sec-fetch-mode"))
    return site == "same-origin" and mode == "cors"
