"""Shared by the panel's views: the caller, pages, lists, and actions that end with a message."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import _lru_cache_wrapper, cache, cached_property, partial
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import UUID

from jinja2 import Environment, Template
from jinja2.meta import find_referenced_templates
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette_admin.flash import flash, get_flashed_messages
from starlette_admin.routing import route
from starlette_admin.views import CustomView

from app.admin.guard import policy
from app.admin.sign_in import Member
from app.core.principal import Principal, Scope
from app.errors import Problem
from app.files.links import Link
from app.loading import load_once
from app.turns import Turn

PAGE = 50
_NONE: Final[Mapping[str, Iterable[str]]] = {}


def caller_of(request: Request) -> Principal:
    """The principal of the member of staff who is signed in, as on every page but the sign-in."""
    member: Member = request.state.admin_user
    return member.principal


def may(request: Request, *scopes: Scope) -> bool:
    """Whether the caller has all of the scopes."""
    return caller_of(request).scopes >= set(scopes)


def id_of(request: Request, name: str = "id") -> UUID:
    """The id in the path. Raises HTTPException (404) where it is no UUID."""
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise HTTPException(404, "There is nothing with this id.") from None


def position(request: Request) -> dict[str, UUID | None]:
    """The ids `after` and `before` which the list goes on, None where not given or no UUID."""
    found: dict[str, UUID | None] = {}
    for name in ("after", "before"):
        try:
            found[name] = UUID(request.query_params.get(name, ""))
        except ValueError:
            found[name] = None
    return found


def origins_of(links: Iterable[Link]) -> set[str]:
    """The origins of the stores that these links read from."""
    parts = [urlsplit(link.url) for link in links]
    return {f"{part.scheme}://{part.netloc}" for part in parts}


def list_url(request: Request, **changes: object) -> str:
    """The URL of this list with other parameters, from its first page; None removes one."""
    kept = {
        name: value
        for name, value in request.query_params.items()
        if name not in {"after", "before"} and name not in changes
    }
    kept |= {name: str(value) for name, value in changes.items() if value is not None}
    return str(request.url.replace(query="").include_query_params(**kept))


class View(CustomView):
    """A page in the menu, for callers who have its scopes."""

    scopes: ClassVar[tuple[Scope, ...]] = ()

    def is_accessible(self, request: Request) -> bool:
        return may(request, *self.scopes)

    def is_active(self, request: Request) -> bool:
        within = request.scope["path"].removeprefix(request.scope["root_path"])
        return bool(within == self.path or within.startswith(f"{self.path}/"))

    async def page(
        self,
        request: Request,
        template: str,
        status: int = 200,
        *,
        stores: Mapping[str, Iterable[str]] = _NONE,
        **context: Any,
    ) -> Response:
        """Render a template of this view, in turns with other requests; besides `context` it gets
        the caller and their scopes. `stores`: from where it may read, as for `guard.policy`.
        """
        assert self._admin is not None
        templates = self._admin.templates
        context |= {"title": context.get("title", self.menu_label), "view": self}
        context |= {"caller": caller_of(request), "scopes": caller_of(request).scopes}
        context |= {"request": request, "flashed_messages": get_flashed_messages(request)}
        for processor in templates.context_processors:
            context |= processor(request)
        pieces, turn = [], Turn()
        page = await load_once(self._pages(template))
        for piece in page.generate(context):
            pieces.append(piece)
            await turn.over()
        headers = {"Content-Security-Policy": policy(**stores)}
        return HTMLResponse("".join(pieces), status, headers)

    @cached_property
    def _pages(self) -> "Callable[[str], _lru_cache_wrapper[Template]]":
        """The function that loads a template, by its name; to compile one takes up to 50 ms."""
        assert self._admin is not None
        env = self._admin.templates.env
        return cache(lambda name: cache(partial(load_template, env, name)))

    def to(self, request: Request, path: str = "") -> str:
        """The URL of a page below this view's own."""
        return f"{request.scope['root_path']}{self.path}{path}"

    async def confirm_and_act(
        self,
        request: Request,
        action: Callable[[], Awaitable[object]],
        *,
        done: str,
        then: str,
        back: str,
        **question: Any,
    ) -> Response:
        """For a GET ask for confirmation; for the POST that follows do `action`, and redirect.

        `done` is the message of success, shown at `then`; a Problem's is shown at `back`. The
        question has a `subject`, a `title`, `words` and the `label` of its button.
        """
        if request.method == "GET":
            return await self.page(request, "confirm.html", back=back, **question)
        try:
            await action()
        except Problem as problem:
            flash(request, message_of(problem), "error")
            return RedirectResponse(back, 303)
        flash(request, done, "success")
        return RedirectResponse(then, 303)


def load_template(env: Environment, name: str) -> Template:
    """The template, and with it those that it is made of."""
    assert env.loader is not None
    for part in find_referenced_templates(env.parse(env.loader.get_source(env, name)[0])):
        if part is not None:
            load_template(env, part)
    return env.get_template(name)


def breakable(text: str) -> Markup:
    """The text with break opportunities at `/`, `:` and `@`, for narrow columns."""
    safe = str(escape(text))
    return Markup(safe.replace("/", "/<wbr>").replace(":", ":<wbr>").replace("@", "<wbr>@"))  # noqa: S704


def message_of(problem: Problem) -> str:
    """The problem's detail, with the names of the records that use the file."""
    uses = problem.extensions.get("records") or []
    named = ", ".join(f"{use['type']} {use['id']} ({use['field']})" for use in uses)
    return f"{problem.detail} They are: {named}." if named else problem.detail


class Index(CustomView):
    """/admin/: redirects to the first page that the caller may see."""

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
