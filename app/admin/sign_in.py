"""Signing in to and out of the panel, with sessions in the database."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette_admin.auth import AdminUser, BaseAuthProvider
from starlette_admin.helpers import index_url, safe_redirect_url

from app.core.principal import Principal
from app.logs.log import current_actor
from app.runtime.resources import Resources
from app.settings.model import Settings
from app.staff import accounts as staff
from app.staff.accounts import SignInRefused, TooManyAttempts


@dataclass(kw_only=True)
class Member(AdminUser):
    """The member of staff who is signed in, with the principal for the use cases."""

    principal: Principal


def resources_of(request: Request) -> Resources:
    """The resources of the service that the panel is mounted on."""
    found: Resources = request.app.state.service.state.resources
    return found


def panel_secret(settings: Settings) -> str:
    """The key that signs the panel's forms, derived from the secret key for this purpose alone."""
    assert settings.secret_key is not None
    key = settings.secret_key.get_secret_value().encode()
    return hmac.digest(key, b"claimcheck admin", hashlib.sha256).hex()


def cookie_name(settings: Settings) -> str:
    """The name of the session cookie, another for each secret.

    Cookies do not distinguish ports (RFC 6265 section 8.5), and two panels on one host must not
    sign each other's staff out.
    """
    return f"claimcheck_admin_{hashlib.sha256(panel_secret(settings).encode()).hexdigest()[:8]}"


class StaffSignIn(BaseAuthProvider):
    """Signs staff in with `app.staff.accounts`. The cookie holds a random token, nothing else."""

    def __init__(self, cookie: str) -> None:
        super().__init__()
        self.cookie = cookie

    def get_routes(self, templates: Jinja2Templates) -> list[Route]:
        self.templates = templates
        return [
            Route(self.login_path, self.page, methods=["GET"], name="login"),
            # By the same name, because that route is open to those who are not signed in yet.
            Route(self.login_path, self.sign_in, methods=["POST"], name="login"),
            Route(self.logout_path, self.sign_out, methods=["POST"], name="logout"),
        ]

    async def authenticate(self, request: Request) -> Member | None:
        """The member of staff who sent the request, looked up once for each."""
        state = request.state
        if not hasattr(state, "member"):
            state.member = await self._member_of(request)
        member: Member | None = state.member
        return member

    async def _member_of(self, request: Request) -> Member | None:
        token = request.cookies.get(self.cookie)
        if token is None:
            return None
        res = resources_of(request)
        member = await staff.member_of(res, token)
        if member is None:
            return None
        principal = staff.principal_of(res.settings, member)
        actor = current_actor.get()
        if actor is not None:
            actor.caller = principal
        return Member(member.name, principal=principal)

    async def page(self, request: Request) -> Response:
        if not request.state.is_anonymous:
            return RedirectResponse(self._next(request), 303)
        return self._form(request, 200)

    async def sign_in(self, request: Request) -> Response:
        form = await request.form()
        name, password = str(form.get("username") or ""), str(form.get("password") or "")
        before = request.cookies.get(self.cookie)
        actor = current_actor.get()
        address = actor.client if actor else None
        try:
            token = await staff.sign_in(
                resources_of(request), name, password, address=address, before=before
            )
        except SignInRefused as refused:
            return self._form(request, 403, name=name, error=str(refused))
        except TooManyAttempts as refused:
            response = self._form(request, 429, name=name, error=str(refused))
            response.headers["Retry-After"] = str(refused.retry_after)
            return response
        response = RedirectResponse(self._next(request), 303)
        self._set_cookie(request, response, token)
        return response

    async def sign_out(self, request: Request) -> Response:
        await staff.sign_out(resources_of(request), request.cookies[self.cookie])
        response = RedirectResponse(request.url_for(f"{request.app.state.ROUTE_NAME}:login"), 303)
        self._set_cookie(request, response, "", max_age=0)
        return response

    def _set_cookie(
        self, request: Request, response: Response, token: str, max_age: int | None = None
    ) -> None:
        """Set the cookie, for as long as the browser is open; the session in the database may end
        earlier.
        """
        response.set_cookie(
            self.cookie,
            token,
            max_age=max_age,
            path=request.scope["root_path"] or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    def _next(self, request: Request) -> str:
        index = index_url(request)
        return safe_redirect_url(request.query_params.get("next") or index, request, index)

    def _form(self, request: Request, status: int, **context: Any) -> Response:
        return self.templates.TemplateResponse(request, "login.html", context, status_code=status)
