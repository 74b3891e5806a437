"""What the panel's views share: who asks, pages, and actions that end in words."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final
from uuid import UUID

from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route
from starlette_admin.views import CustomView

from app.admin.sign_in import Member
from app.core.principal import Principal, Scope
from app.errors import Problem
from app.http.permissions import require

PAGE = 50
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def caller_of(request: Request) -> Principal:
    """The member of staff who asks. Whatever asks for one is signed in."""
    member: Member = request.state.admin_user
    return member.principal


def may(request: Request, *scopes: Scope) -> bool:
    """Whether he holds all of the scopes."""
    return caller_of(request).scopes >= set(scopes)


def id_of(request: Request, name: str = "id") -> UUID:
    """The id in the path; 404 where it is none."""
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise HTTPException(404, "There is nothing with this id.") from None


def position(request: Request) -> dict[str, UUID | None]:
    """Where in a list to go on; a place that is none is the beginning."""
    found: dict[str, UUID | None] = {}
    for name in ("after", "before"):
        try:
            found[name] = UUID(request.query_params.get(name, ""))
        except ValueError:
            found[name] = None
    return found


def beside(request: Request, **changes: object) -> str:
    """The address of this list with other parameters; None takes one out."""
    kept = {
        name: value
        for name, value in request.query_params.items()
        if name not in {"after", "before"} and name not in changes
    }
    kept |= {name: str(value) for name, value in changes.items() if value is not None}
    return str(request.url.replace(query="").include_query_params(**kept))


class View(CustomView):
    """A page of the menu, for those who hold its scopes."""

    scopes: ClassVar[tuple[Scope, ...]] = ()

    def is_accessible(self, request: Request) -> bool:
        return may(request, *self.scopes)

    def is_active(self, request: Request) -> bool:
        within = request.scope["path"].removeprefix(request.scope["root_path"])
        return bool(within == self.path or within.startswith(f"{self.path}/"))

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """A page of this view; templates get whoever asks and his scopes besides."""
        assert self._admin is not None
        context |= {"title": context.get("title", self.menu_label), "view": self}
        context |= {"caller": caller_of(request), "scopes": caller_of(request).scopes}
        return self._admin._template_response(request, template, context, status)

    def to(self, request: Request, path: str = "") -> str:
        """The address of a page below this view's own."""
        return f"{request.scope['root_path']}{self.path}{path}"

    def confirm(self, request: Request, **context: Any) -> Response:
        """A page that asks before something is done, which a POST to the same address then does."""
        return self.page(request, "confirm.html", **context)

    async def act(
        self,
        request: Request,
        scope: Scope,
        action: Callable[..., Awaitable[object]],
        *,
        done: str,
        then: str,
        otherwise: str | None = None,
    ) -> Response:
        """Do it, if he may, and go on to a page that says so, or why not."""
        try:
            require(caller_of(request), scope)
            await action()
        except Problem as problem:
            flash(request, in_words(problem), "error")
            return RedirectResponse(otherwise or then, 303)
        flash(request, done, "success")
        return RedirectResponse(then, 303)


def breakable(text: str) -> Markup:
    """A long word for a narrow column: it breaks at these characters before it does anywhere."""
    safe = str(escape(text))
    return Markup(safe.replace("/", "/<wbr>").replace(":", ":<wbr>").replace("@", "<wbr>@"))  # noqa: S704


def in_bytes(count: int | None) -> str:
    """A size in bytes as people read it, in powers of 1024; as `words.js` has it for browsers."""
    if count is None:
        return "unknown"
    value, power = float(count), 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.3g} {_UNITS[power]}" if power else f"{count} byte{'' if count == 1 else 's'}"


def in_words(problem: Problem) -> str:
    """What a problem says, with the records that a file is used by named."""
    uses = problem.extensions.get("records") or []
    named = ", ".join(f"{use['type']} {use['id']} ({use['field']})" for use in uses)
    return f"{problem.detail} They are: {named}." if named else problem.detail


class Index(CustomView):
    """/admin: the first page that whoever asks may see."""

    path = "/"
    route_name = "index"
    add_to_menu = False

    @route("")
    async def index(self, request: Request) -> Response:
        assert self._admin is not None
        for view in self._admin._views:
            if isinstance(view, View) and view.is_accessible(request):
                return RedirectResponse(view.to(request), 303)
        raise HTTPException(403, "You may see nothing here.")
