"""The page of destinations, as they are configured."""

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import View


class Destinations(View):
    """A table of the destinations, read-only because they are settings."""

    menu_label = "Destinations"
    icon = "fa-solid fa-box-archive"
    path = "/destinations"

    @route("", name="destinations")
    async def index(self, request: Request) -> Response:
        settings = resources_of(request).settings
        return await self.page(
            request, "destinations.html", destinations=list(settings.destinations.values())
        )
