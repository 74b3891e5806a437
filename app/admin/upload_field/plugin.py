"""The plugin that all upload fields of an admin share: the service, and two routes to it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette_admin.base import BaseAdmin
from starlette_admin.plugins import BasePlugin
from starlette_admin.types import RequestAction

from .field import LINK, S3UploadField
from .seal import unseal
from .service import ServiceFailed, UploadService


class S3UploadPlugin(BasePlugin):
    """A plugin of the admin: `Admin(engine, plugins=[S3UploadPlugin(service)])`.

    The widget's scripts are loaded from the service, whose API they match; `script` is another URL,
    where they were copied (`static/upload-field.js` and the scripts that it imports).
    """

    name = "claimcheck"
    package = __package__

    def __init__(self, service: UploadService, *, script: str | None = None) -> None:
        self.service = service
        self.script = script or f"{service.endpoint}static/upload-field.js"

    def on_mount(self, admin: BaseAdmin) -> None:
        self._admin = admin
        admin.app.state.claimcheck = self

    def routes(self) -> list[Route | Mount]:
        """The routes, inside the admin, so that its log-in and its CSRF protection cover them."""
        return [
            Route("/session/{destination}", self._start, methods=["POST"], name="session"),
            Route("/file", self._show, name="file"),
        ]

    async def _start(self, request: Request) -> Response:
        """A token for the widget, if the user may change a field with this destination."""
        field = self._field(request, request.path_params["destination"])
        if field is None:
            said = {"title": "Not allowed", "detail": "You may not upload files here."}
            return JSONResponse(said, 403)
        try:
            token = await self.service.start(
                request, destination=field.destination, max_files=field.session_files
            )
        except ServiceFailed as failure:
            return JSONResponse({"title": "The upload cannot begin", "detail": str(failure)}, 502)
        answer = {
            "token": token,
            "endpoint": self.service.endpoint,
            "destination": field.destination,
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    def _field(self, request: Request, destination: str) -> S3UploadField | None:
        for view in self._admin._model_views:
            if not view.is_accessible(request):
                continue
            for part in (view, *view._inline_instances):
                may = {
                    RequestAction.CREATE: part.can_create(request),
                    RequestAction.EDIT: part.can_edit(request),
                }
                for action in (action for action, allowed in may.items() if allowed):
                    for field in part.get_fields_list(request, include_nested=True, action=action):
                        if isinstance(field, S3UploadField) and field.destination == destination:
                            return field
        return None

    async def _show(self, request: Request) -> Response:
        """Redirect to a fresh link for a file that a page of this admin shows."""
        value = unseal(self.service.secret, LINK, request.query_params.get("of", ""))
        if value is None:
            raise HTTPException(404)
        try:
            [found] = await self.service.find(request, [value])
        except ServiceFailed as failure:
            raise HTTPException(502, str(failure)) from None
        if found is None:
            raise HTTPException(404, "The upload service does not know this file (any more).")
        if found["presigned_url"] is None:
            raise HTTPException(409, "The file is not scanned yet, or in quarantine.")
        where = {"Location": found["presigned_url"], "Cache-Control": "private, max-age=60"}
        return Response(status_code=302, headers=where)
