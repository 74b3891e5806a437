"""The HTTP dependencies that routers share: who asks, and the resources that serve them.

Each is a coroutine function of the request alone, so that routes may call it themselves
(`lean_route.py`); what else it needs is in the request or in its application's state.
"""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.access.authenticate import principal_from_token
from app.core.opaque_tokens import REQUEST_PREFIX, SESSION_PREFIX
from app.core.principal import DEV, Principal, Scope
from app.errors import CredentialRequired, InsufficientScope, InvalidToken
from app.http.request_headers import header
from app.logs.log import current_actor
from app.runtime.resources import Resources

# Links and URLs of parts that are signed for what one request costs.
LINKS_CHARGED: Final = 100
# RFC 6750 section 2.1, with spaces alone as white space.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


async def _resources(request: Request) -> Resources:
    res: Resources = request.app.state.resources
    return res


async def authenticate(request: Request) -> Principal:
    """Who sent the request; its log lines say so from now on, and it counts against their limit.

    Raises CredentialRequired, InvalidToken, IssuerUnavailable and TooManyRequests.
    """
    try:
        caller = await _caller_of(request)
    except (CredentialRequired, InvalidToken):
        await count_failure(request)
        raise
    actor = current_actor.get()
    if actor is not None:
        actor.caller = caller
    await charge(request, caller)
    return caller


async def charge(request: Request, caller: Principal, cost: int = 1) -> None:
    """Count the request as so many of the caller's. Raises TooManyRequests."""
    res: Resources = request.app.state.resources
    limit = await res.rate_limits.admit(caller, cost)
    if limit is not None:
        # The outermost middleware says so in the answer.
        request.scope["state"]["rate_limit"] = limit.headers()


async def count_failure(request: Request) -> None:
    """Count that the client's credential was refused. Raises TooManyRequests."""
    res: Resources = request.app.state.resources
    actor = current_actor.get()
    await res.rate_limits.admit_address(None if actor is None else actor.client, failures=1)


async def _caller_of(request: Request) -> Principal:
    """The token comes as a bearer. That of an upload session may also stand in the path of Uppy's
    door, out of which the middleware has taken it: paths are shown and kept in too many places for
    any other.

    With `auth = none` all are let in, but whoever comes by a request for files is a stranger there.
    """
    res: Resources = request.app.state.resources
    if res.settings.open_here:
        bearer = _BEARER.fullmatch(header(request.scope, b"authorization") or "")
        if bearer is None or not bearer[1].startswith((REQUEST_PREFIX, SESSION_PREFIX)):
            return DEV
        return await principal_from_token(res, bearer[1])
    in_path: str | None = request.scope["state"].get("path_token")
    if in_path is not None:
        if not in_path.startswith(SESSION_PREFIX):
            raise InvalidToken("Only an upload session's token may stand in a path.")
        return await principal_from_token(res, in_path)
    given = header(request.scope, b"authorization")
    if given is None:
        raise CredentialRequired("Send a token: `Authorization: Bearer ...`.")
    bearer = _BEARER.fullmatch(given)
    if bearer is None:
        raise InvalidToken("Authorization must be `Bearer` and one token.")
    return await principal_from_token(res, bearer[1])


class Permission(SecurityBase):
    """Requires a credential with the scope. Raises InsufficientScope, and as `authenticate`."""

    model = HTTPBearer(
        bearerFormat="JWT, API key or upload session",
        description="A JSON Web Token of the configured issuer, an API key "
        "(`claimcheck keys create`), or an upload session (`POST /v1/upload-sessions`).",
    )
    scheme_name = "bearer"

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Principal:
        caller = await authenticate(request)
        require(caller, self.scope)
        return caller


class PermissionOrGrant(Permission):
    """Gives None where the URL has a grant, which then is all that counts: the route checks it."""

    async def __call__(self, request: Request) -> Principal | None:  # type: ignore[override]
        return None if "grant" in request.query_params else await super().__call__(request)


def require(caller: Principal, scope: Scope) -> None:
    """Raises InsufficientScope where the caller does not hold the scope."""
    if scope not in caller.scopes:
        raise InsufficientScope(
            f"This takes the scope {scope}, and your credential does not hold it.",
            scope=scope.value,
        )


def _may(scope: Scope) -> Any:
    """The dependency, with its scope for the OpenAPI document."""
    return Security(Permission(scope), scopes=[scope.value])


Res = Annotated[Resources, Depends(_resources)]
CanUpload = Annotated[Principal, _may(Scope.UPLOADS_WRITE)]
CanRead = Annotated[Principal, _may(Scope.FILES_READ)]
CanReadOrHasGrant = Annotated[
    Principal | None, Security(PermissionOrGrant(Scope.FILES_READ), scopes=[Scope.FILES_READ.value])
]
CanDelete = Annotated[Principal, _may(Scope.FILES_DELETE)]
CanReadRecords = Annotated[Principal, _may(Scope.RECORDS_READ)]
CanWriteRecords = Annotated[Principal, _may(Scope.RECORDS_WRITE)]
CanMint = Annotated[Principal, _may(Scope.SESSIONS_MINT)]
CanManageWebhooks = Annotated[Principal, _may(Scope.WEBHOOKS_MANAGE)]
CanReadEvents = Annotated[Principal, _may(Scope.EVENTS_READ)]
CanManageQuotas = Annotated[Principal, _may(Scope.QUOTAS_MANAGE)]
CanWriteScans = Annotated[Principal, _may(Scope.SCANS_WRITE)]
CanManageRequests = Annotated[Principal, _may(Scope.REQUESTS_MANAGE)]
CanAdmin = Annotated[Principal, _may(Scope.ADMIN)]
