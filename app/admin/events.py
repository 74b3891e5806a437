"""The page of events: the newest, or those of one file, record, webhook or request."""

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of
from app.core.principal import Scope
from app.staff.search import search_events


class Events(View):
    """Events of the tenant: how its files and records came to be as they are."""

    menu_label = "Events"
    icon = "fa-solid fa-clock-rotate-left"
    path = "/events"
    scopes = (Scope.EVENTS_READ,)

    @route("", name="events")
    async def index(self, request: Request) -> Response:
        wanted = request.query_params.get("q", "").replace("\0", "").strip()
        return await self.page(
            request,
            "events.html",
            wanted=wanted,
            events=await search_events(
                resources_of(request), caller_of(request), wanted, limit=PAGE
            ),
            most=PAGE,
        )
