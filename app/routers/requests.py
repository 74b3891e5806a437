"""Requests for files: links through which people without an account send files."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app import errors
from app.access import file_requests
from app.access.destinations import destination_named
from app.access.file_requests import Sender
from app.http.attach_to import field_path
from app.http.idempotency import IDEMPOTENCY_PROBLEMS, IdempotencyKey, once
from app.http.lean_route import LeanRoute
from app.http.permissions import CanManageRequests, CanUpload, Res
from app.http.problems import headers, responses
from app.http.rendering import Paging, json_response
from app.http.request_bodies import (
    NewRequest,
    OpenedRequest,
    OpenedSession,
    RequestBody,
    RequestPage,
    RequestWanted,
    SenderBody,
    SentPage,
    opened_json,
    request_json,
    sent_json,
    session_json,
)
from app.records.fields import session_field

router = APIRouter(prefix="/v1/requests", tags=["requests"], route_class=LeanRoute)


@router.post(
    "",
    operation_id="createRequest",
    response_model=NewRequest,
    summary="Ask people without an account for files",
    status_code=201,
    responses={
        **responses(
            errors.UnknownDestination,
            errors.DestinationForbidden,
            errors.ScopeNotGrantable,
            errors.UnknownRecordField,
            errors.RecordNotFound,
            errors.WrongDestination,
            *IDEMPOTENCY_PROBLEMS,
            errors.DatabaseUnavailable,
        ),
        201: headers({"Location": "Where to follow and to close the request"}),
    },
)
async def create(
    body: RequestWanted, caller: CanManageRequests, res: Res, idempotency_key: IdempotencyKey = None
) -> Response:
    """Send them `link`: it leads to a page with the note and a place to drop files, which go
    straight into the bucket, so many and so large together and no more. With `attach_to` they
    go into that field of a record by your right; that takes `records:write` as well. A repeat with
    the same Idempotency-Key makes no other request, and tells its `id`.
    """
    path = field_path(caller, body.attach_to)
    field = path and await session_field(res, caller, path, body.destination)
    request, token = await file_requests.create(
        res,
        caller,
        **body.model_dump(exclude={"attach_to"}),
        attach_to=field,
        once=once(caller, idempotency_key, body),
    )
    location = {"Location": f"/v1/requests/{request.id}"}
    return json_response(request_json(request) | {"link": f"/r#{token}"}, location, 201)


@router.get(
    "",
    operation_id="listRequests",
    response_model=RequestPage,
    summary="List the requests for files that you made, newest first",
    responses=responses(errors.InvalidCursor, errors.DatabaseUnavailable),
)
async def list_requests(
    paging: Annotated[Paging, Query()], caller: CanManageRequests, res: Res
) -> Response:
    """Closed ones and those that are over, too; never links. With `files:all` the tenant's."""
    found, cursor = await file_requests.list_requests(
        res, caller, cursor=paging.cursor, limit=paging.limit
    )
    return json_response({"items": list(map(request_json, found)), "next_cursor": cursor})


# Before the ids.
@router.get(
    "/open",
    operation_id="lookAtRequest",
    response_model=OpenedRequest,
    summary="See what a request asks for, and what you have sent",
    responses=responses(
        errors.FileRequestNotFound, errors.UnknownDestination, errors.DatabaseUnavailable
    ),
)
async def look(caller: CanUpload, res: Res) -> Response:
    """For whoever has the request's link, with its token as the bearer; `sent` has something for
    the token of a session that was opened with it.
    """
    opened = await file_requests.look(res, caller)
    destination = destination_named(res.settings, opened.request.destination)
    return json_response(opened_json(opened, destination))


@router.post(
    "/open",
    operation_id="openRequest",
    response_model=OpenedSession,
    summary="Open an upload session with a request's link",
    status_code=201,
    responses=responses(
        errors.FileRequestNotFound, errors.UploadSessionExhausted, errors.DatabaseUnavailable
    ),
)
async def open_session(caller: CanUpload, res: Res, body: SenderBody | None = None) -> Response:
    """For each browser one, with the token of the link as the bearer. The session sees its own
    uploads alone, and ends with the request.
    """
    sender = Sender(**vars(body)) if body else Sender()
    return json_response(
        session_json(*await file_requests.open_session(res, caller, sender)), status=201
    )


@router.patch(
    "/open",
    operation_id="nameSender",
    summary="Say who sends the files of a session",
    status_code=204,
    responses=responses(errors.FileRequestNotFound, errors.DatabaseUnavailable),
)
async def name_sender(body: SenderBody, caller: CanUpload, res: Res) -> Response:
    """In place of what the session was opened with; whoever made the request reads it."""
    await file_requests.name_sender(res, caller, Sender(**vars(body)))
    return Response(status_code=204)


@router.get(
    "/{request_id}",
    operation_id="getRequest",
    response_model=RequestBody,
    summary="See how much of a request is used",
    responses=responses(errors.FileRequestNotFound, errors.DatabaseUnavailable),
)
async def get(request_id: UUID, caller: CanManageRequests, res: Res) -> Response:
    """For who made it; never the link."""
    return json_response(request_json(await file_requests.get(res, caller, request_id)))


@router.get(
    "/{request_id}/files",
    operation_id="listSentFiles",
    response_model=SentPage,
    summary="See who sent what by a request, newest first",
    responses=responses(
        errors.FileRequestNotFound, errors.InvalidCursor, errors.DatabaseUnavailable
    ),
)
async def list_sent(
    request_id: UUID, paging: Annotated[Paging, Query()], caller: CanManageRequests, res: Res
) -> Response:
    """Those that are on their way or were rejected, too. `GET /v1/files/{id}` gives links to what
    is confirmed.
    """
    found, cursor = await file_requests.list_sent(
        res, caller, request_id, cursor=paging.cursor, limit=paging.limit
    )
    return json_response({"items": list(map(sent_json, found)), "next_cursor": cursor})


@router.delete(
    "/{request_id}",
    operation_id="closeRequest",
    summary="Close a request for files",
    status_code=204,
    responses=responses(errors.FileRequestNotFound, errors.DatabaseUnavailable),
)
async def close(request_id: UUID, caller: CanManageRequests, res: Res) -> Response:
    """Nothing more is announced by it at once, and nothing else done within 5 seconds. What was
    sent stays, what is on its way is not confirmed. Repeating it is no error.
    """
    await file_requests.close(res, caller, request_id)
    return Response(status_code=204)
