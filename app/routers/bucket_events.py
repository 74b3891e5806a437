"""The door for stores, which tell of objects that have arrived: uploads confirm themselves."""

import base64
import binascii
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from app.core.bucket_events import UnreadableEvent, arrivals
from app.errors import RouteNotFound
from app.http.lean_route import LeanRoute
from app.http.machines import comes_from, is_token
from app.http.permissions import Res
from app.logs.log import current_actor, get_logger
from app.scans.told import note_scans
from app.settings.model import Settings
from app.uploads.arrive import ACTOR, confirm_noted, note_arrivals

# For the store, and not part of the API that clients read about.
router = APIRouter(prefix="/v1", include_in_schema=False, route_class=LeanRoute)
_log = get_logger("bucket_events")


@router.post("/bucket-events", status_code=204)
async def take(request: Request, res: Res) -> Response:
    """Note which uploads are said to have arrived, and confirm them after the answer: a store may
    have its own client wait for it.

    What nobody can read is logged, and not refused: a store would send it for ever. To others than
    the store it is as if there were no such route. Raises DatabaseUnavailable: it may come again.
    """
    if not _may_tell(res.settings, request):
        raise RouteNotFound((RouteNotFound.__doc__ or "").strip())
    actor = current_actor.get()
    if actor is not None:
        actor.name = ACTOR
    body = await request.body()
    try:
        names = arrivals(body)
        await note_scans(res, body)
    except UnreadableEvent as error:
        _log.warning("bucket_event_unreadable", reason=str(error))
    else:
        confirm_noted(res, await note_arrivals(res, names))
    return Response(status_code=204)


def _may_tell(settings: Settings, request: Request) -> bool:
    token = settings.bucket_events_token
    return any(is_token(token, given) for given in _tokens(request)) or comes_from(
        request, settings.bucket_events_networks
    )


def _tokens(request: Request) -> Iterator[str]:
    """Texts that may be the token: MinIO sends it as the whole header, or as a bearer's; a client
    makes Basic of `user:token@` in a URL; and the query may have it, as Ceph sends it.
    """
    header = request.headers.get("authorization", "")
    scheme, _, rest = header.partition(" ")
    yield header
    match scheme.lower():
        case "bearer":
            yield rest.strip()
        case "basic":
            try:
                pair = base64.b64decode(rest, validate=True).decode()
            except (binascii.Error, ValueError):
                return
            yield pair.partition(":")[2]
    yield from request.query_params.getlist("token")
