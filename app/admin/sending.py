"""The page that uploads from the panel, and the token that its field sends with."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access import upload_sessions
from app.admin.sign_in import resources_of
from app.admin.view import View, caller_of
from app.core.destination import Destination
from app.core.principal import Scope, is_name
from app.errors import Problem
from app.http.permissions import require

# So many files are sent from one page, until it is loaded again.
MOST_FILES: Final = 100
_SESSION_SECONDS: Final = 6 * 3600


def open_destinations(request: Request) -> list[Destination]:
    """The destinations that the caller may upload to, by name."""
    found = resources_of(request).settings.destinations
    return [to for _, to in sorted(found.items()) if to.admits(caller_of(request))]


async def upload_page(view: View, request: Request) -> Response:
    """A field for files of one destination, which go straight into its bucket, and whose they are.

    They are files once they are confirmed; there is nothing to save.
    """
    require(caller_of(request), Scope.UPLOADS_WRITE)
    choices = open_destinations(request)
    asked = request.query_params.get("destination")
    to = next((one for one in choices if one.name == asked), choices[0] if choices else None)
    owner = request.query_params.get("owner", "").strip()
    origins = {to.address.origin} if to else set()
    return await view.page(
        request,
        "upload.html",
        stores={"img": origins, "connect": origins},
        title="Upload files",
        choices=[one.name for one in choices],
        to=to,
        accept=",".join([*to.content_types, *(f".{e}" for e in to.extensions)]) if to else "",
        owner=owner if is_name(owner) else "",
        most=MOST_FILES,
    )


async def session_for(
    request: Request, destination: str, *, owner: str, max_files: int, scopes: tuple[Scope, ...]
) -> Response:
    """The token of an upload session for the destination as JSON, for <claimcheck-upload>."""
    caller = caller_of(request)
    try:
        for scope in scopes:
            require(caller, scope)
        session, token = await upload_sessions.mint(
            resources_of(request),
            caller,
            destination=destination,
            owner=owner or caller.owner,
            max_files=max_files,
            max_bytes=None,
            expires_in=_SESSION_SECONDS,
        )
    except Problem as problem:
        said = {"title": problem.title, "detail": problem.detail}
        return JSONResponse(said, problem.status)
    service = str(request.base_url.replace(path="/"))
    return JSONResponse({"token": token, "endpoint": service, "destination": session.destination})
