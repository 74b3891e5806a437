"""Pages of requests for files: make a link, see who sent what by it, close it."""

from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from app.access import file_requests
from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, list_url
from app.core.parts import MIB
from app.core.principal import Scope
from app.errors import InvalidCursor, Problem, ValidationFailed
from app.http.attach_to import field_path
from app.http.permissions import require
from app.http.request_bodies import RequestWanted
from app.models.credentials import FileRequest
from app.records.fields import session_field

_DAY: Final = 86_400


async def _form(request: Request) -> dict[str, str]:
    form = await request.form()
    names = ("note", "target", "record", "max_files", "max_size", "days")
    return {name: str(form.get(name) or "").strip() for name in names}


def _body(asked: dict[str, str], fields: dict[str, tuple[str, str, str]]) -> RequestWanted:
    """The form as a body of the API. Raises ValidationFailed for its first mistake."""
    wanted: dict[str, Any] = {"note": asked["note"], "destination": asked["target"]}
    if asked["target"] in fields:
        kind, field, destination = fields[asked["target"]]
        wanted |= {
            "destination": destination,
            "attach_to": {"type": kind, "id": asked["record"], "field": field},
        }
    try:
        wanted["max_files"], days = int(asked["max_files"]), int(asked["days"])
        if asked["max_size"]:
            wanted["max_size"] = int(asked["max_size"]) * MIB
    except ValueError:
        raise ValidationFailed("Files, MiB and days are whole numbers.") from None
    try:
        return RequestWanted.model_validate(wanted | {"expires_in": days * _DAY})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][-1]).replace("_", " ").capitalize()
        raise ValidationFailed(f"{name}: {first['msg']}.") from None


class Requests(View):
    """The requests for files of the tenant."""

    menu_label = "Requests"
    icon = "fa-solid fa-inbox"
    path = "/requests"
    scopes = (Scope.REQUESTS_MANAGE,)

    @route("", methods=["GET", "POST"], name="requests")
    async def index(self, request: Request) -> Response:
        """The list; a POST makes a request, and shows its link this once."""
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.REQUESTS_MANAGE)
        if request.method != "POST":
            return await self._list(request)
        asked = await _form(request)
        try:
            body = _body(asked, self._fields(request))
            path = field_path(caller, body.attach_to)
            field = path and await session_field(res, caller, path, body.destination)
            made, token = await file_requests.create(
                res, caller, **body.model_dump(exclude={"attach_to"}), attach_to=field
            )
        except Problem as problem:
            return await self._list(request, problem.status, wrong=problem.detail, asked=asked)
        page = f"{request.scope['root_path'].removesuffix('/admin')}/r"
        link = str(request.base_url.replace(path=page, fragment=token))
        return await self._show(request, made, link=link)

    def _fields(self, request: Request) -> dict[str, tuple[str, str, str]]:
        """Type, field and destination of each field that files can go into, by `type.field`."""
        if Scope.RECORDS_WRITE not in caller_of(request).scopes:
            return {}
        return {
            f"{kind}.{name}": (kind, name, field.destination)
            for kind, fields in resources_of(request).settings.records.items()
            for name, field in fields.items()
        }

    async def _list(self, request: Request, status: int = 200, **context: Any) -> Response:
        res, caller = resources_of(request), caller_of(request)
        cursor = request.query_params.get("cursor")
        try:
            found, older = await file_requests.list_requests(res, caller, cursor=cursor, limit=PAGE)
        except InvalidCursor:
            found, older = await file_requests.list_requests(res, caller, cursor=None, limit=PAGE)
        destinations = res.settings.destinations.values()
        return await self.page(
            request,
            "requests.html",
            status,
            title="Requests for files",
            requests=found,
            older=older and list_url(request, cursor=older),
            first=self.to(request) if cursor else None,
            now=res.clock(),
            destinations=sorted(d.name for d in destinations if d.admits(caller)),
            fields=sorted(self._fields(request)),
            **context,
        )

    @route("/{id}", name="request-page")
    async def show(self, request: Request) -> Response:
        return await self._show(request, await self._request(request))

    async def _request(self, request: Request) -> FileRequest:
        """The request in the path. Raises FileRequestNotFound."""
        require(caller_of(request), Scope.REQUESTS_MANAGE)
        return await file_requests.get(resources_of(request), caller_of(request), id_of(request))

    async def _show(self, request: Request, shown: FileRequest, **context: Any) -> Response:
        """The page of a request, with what was sent by it, and by whom."""
        res, caller = resources_of(request), caller_of(request)
        cursor = request.query_params.get("cursor")
        try:
            sent, older = await file_requests.list_sent(
                res, caller, shown.id, cursor=cursor, limit=PAGE
            )
        except InvalidCursor:
            sent, older = await file_requests.list_sent(
                res, caller, shown.id, cursor=None, limit=PAGE
            )
        here = self.to(request, f"/{shown.id}")
        return await self.page(
            request,
            "request.html",
            title="Request for files",
            shown=shown,
            here=here,
            sent=sent,
            older=older and f"{here}?cursor={older}",
            first=here if cursor else None,
            now=res.clock(),
            **context,
        )

    @route("/{id}/close", methods=["GET", "POST"], name="request-close")
    async def close(self, request: Request) -> Response:
        shown = await self._request(request)
        here = self.to(request, f"/{shown.id}")

        return await self.confirm_and_act(
            request,
            partial(file_requests.close, resources_of(request), caller_of(request), shown.id),
            subject=shown.note,
            title="Close the request?",
            words="Its link works no more, in other processes within five seconds. What was sent "
            "stays; what is on its way does not become a file. It cannot be opened again.",
            label="Close the request",
            done="The request is closed.",
            then=here,
            back=here,
        )
