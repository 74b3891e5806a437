"""API keys: make, list and revoke those of one's tenant."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.access import api_keys
from app.access.makers import MAX_LISTED
from app.core.principal import Name
from app.errors import ApiKeyNotFound, DatabaseUnavailable, InvalidCursor, ScopeNotGrantable
from app.http.idempotency import IDEMPOTENCY_PROBLEMS, IdempotencyKey, once
from app.http.lean_route import LeanRoute
from app.http.permissions import CanAdmin, Res
from app.http.problems import headers, responses
from app.http.rendering import Moment, Paging, json_response, members
from app.uploads.unsized import end_key

router = APIRouter(prefix="/v1/api-keys", tags=["credentials"], route_class=LeanRoute)

_EXAMPLE: dict[str, Any] = {
    "name": "billing back end",
    "scopes": ["files:read"],
    "expires_in_days": 365,
}
_KEY_EXAMPLE: dict[str, Any] = {
    "id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "name": "billing back end",
    "owner": "billing",
    "tenant": "",
    "scopes": ["files:read"],
    "created_by": "operations",
    "made_with": "jwt",
    "created_at": "2026-11-22T19:07:09.123456Z",
    "expires_at": "2027-11-22T19:07:09.123456Z",
    "last_used_at": None,
    "revoked_at": None,
}


class KeyWanted(BaseModel):
    """An API key to be made in one's tenant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    name: Annotated[Name, Field(description="What it is for, to know it by in the list")]
    scopes: Annotated[
        list[Annotated[str, StringConstraints(max_length=100)]],
        Field(min_length=1, max_length=50, description="None that the caller does not hold"),
    ]
    owner: Annotated[
        Name | None,
        Field(description="Whose files it is for; by default the caller's. Others: `files:all`"),
    ] = None
    expires_in_days: Annotated[
        int | None,
        Field(
            strict=True,
            ge=1,
            le=api_keys.MAX_DAYS,
            description="null: never. In any case it ends with the credential that makes it, where "
            "that has an end: see `expires_at` of the answer",
        ),
    ] = 365


class KeyBody(BaseModel):
    """An API key, without the key itself. `last_used_at` is up to a minute old."""

    model_config = ConfigDict(json_schema_extra={"example": _KEY_EXAMPLE})

    id: UUID
    name: str
    owner: str
    tenant: str
    scopes: list[str]
    created_by: str
    made_with: str = Field(
        description="The credential that made it: `key:` or `staff:` and its id, `jwt`, `cli`; "
        "empty where that is not known"
    )
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class NewKey(KeyBody):
    """A new API key: `token` is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": _KEY_EXAMPLE | {"token": "claimcheck_key_9n3Xo..."}},
    )

    token: str


class MadeKeys(BaseModel):
    """Keys, up to 100 of them, and upload sessions that a revoked key had made."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"keys": [_KEY_EXAMPLE], "more": False, "sessions_ended": 2}}
    )

    keys: list[KeyBody] = Field(
        description="Made with it, or with one of those: the ones that still work, or with "
        "`made=revoke` the ones that were revoked with it"
    )
    more: bool = Field(description="Whether there are more than these keys")
    sessions_ended: int = Field(description="Upload sessions that it had minted")


class KeyPage(BaseModel):
    """Keys, newest first; pass `next_cursor` as `cursor` for the next page, null at the end."""

    items: list[KeyBody]
    next_cursor: str | None


_json = members(KeyBody)


@router.post(
    "",
    operation_id="createApiKey",
    response_model=NewKey,
    summary="Make an API key",
    status_code=201,
    responses={
        **responses(ScopeNotGrantable, *IDEMPOTENCY_PROBLEMS, DatabaseUnavailable),
        201: headers({"Location": "Where to revoke the key"}),
    },
)
async def create(
    body: KeyWanted, caller: CanAdmin, res: Res, idempotency_key: IdempotencyKey = None
) -> Response:
    """For a back end. Keep `token`: only its hash is stored, and nobody can show it again. A repeat
    with the same Idempotency-Key makes no other, and tells its `id`.
    """
    days = body.expires_in_days
    key, token = await api_keys.create(
        res,
        caller,
        name=body.name,
        owner=body.owner or caller.owner,
        scopes=body.scopes,
        lifetime=None if days is None else timedelta(days=days),
        once=once(caller, idempotency_key, body),
    )
    location = {"Location": f"/v1/api-keys/{key.id}"}
    return json_response(_json(key) | {"token": token}, location, 201)


@router.get(
    "",
    operation_id="listApiKeys",
    response_model=KeyPage,
    summary="List the tenant's API keys, newest first",
    responses=responses(InvalidCursor, DatabaseUnavailable),
)
async def list_keys(paging: Annotated[Paging, Query()], caller: CanAdmin, res: Res) -> Response:
    """Expired and revoked ones too; never the keys themselves."""
    keys, cursor = await api_keys.list_keys(res, caller, cursor=paging.cursor, limit=paging.limit)
    return json_response({"items": list(map(_json, keys)), "next_cursor": cursor})


@router.delete(
    "/{key_id}",
    operation_id="revokeApiKey",
    response_model=MadeKeys,
    summary="Revoke an API key",
    responses={
        **responses(ApiKeyNotFound, DatabaseUnavailable),
        200: {"description": "Revoked; and these are the keys that it had made"},
        204: {"description": "Revoked; it had made no keys that still worked"},
    },
)
async def revoke(
    key_id: UUID,
    caller: CanAdmin,
    res: Res,
    made: Annotated[
        Literal["list", "revoke"],
        Query(description="What becomes of the keys that it made: they are listed, or revoked too"),
    ] = "list",
) -> Response:
    """It ends within 5 seconds on every replica, and with it the upload sessions that it minted.
    Repeating it is no error.
    """
    found = await end_key(res, caller, key_id, revoke_made=made == "revoke")
    if not found.keys:
        return Response(status_code=204)
    shown = [_json(key) for key in found.keys[:MAX_LISTED]]
    more = len(found.keys) > MAX_LISTED
    return json_response({"keys": shown, "more": more, "sessions_ended": len(found.sessions)})
