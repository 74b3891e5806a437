"""The example, and beside it an admin with a log-in and lists of files, and the guide's form."""

import os
import re
from pathlib import Path
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.contrib.sqla import Admin, ModelView

from app.admin.upload_field import S3UploadField, S3UploadPlugin
from examples.shop_admin import Base, app, engine, pages, service

__all__ = ["app"]


class Album(Base):
    __tablename__ = "albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    pictures: Mapped[list[str] | None] = mapped_column(JSON)
    paper: Mapped[str | None]


class AlbumView(ModelView):
    fields = (
        "id",
        "name",
        S3UploadField("pictures", destination="images", multiple=True, max_files=3),
        S3UploadField("paper", destination="papers", stores="id", required=True, help_text="Why."),
    )


class Staff(AuthProvider):
    async def login(
        self, username: str, password: str, remember_me: bool, request: Request
    ) -> None:
        request.session["user"] = username

    async def logout(self, request: Request) -> None:
        request.session.clear()

    async def authenticate(self, request: Request) -> AdminUser | None:
        user = request.session.get("user")
        return AdminUser(user) if user else None


Base.metadata.create_all(engine)
sessions = Middleware(SessionMiddleware, secret_key="of a test", session_cookie="staff")
staff = Admin(
    engine,
    base_url="/staff",
    route_name="staff",
    secret_key="of a test",
    additional_loaders=[pages],
    plugins=[S3UploadPlugin(service)],
    auth_provider=Staff(),
    middlewares=[sessions],
)
staff.add_view(AlbumView(Album))
staff.mount_to(app)

# The form of docs/upload-field.md, and its page under a policy that lets it do what it must.
GUIDE = (Path(__file__).parents[2] / "docs" / "upload-field.md").read_text(encoding="utf-8")
POLICY = (
    "default-src 'none'; script-src {0}; connect-src 'self' http://127.0.0.1:*; form-action 'self'"
)
[code] = re.findall(r"```python\n(# form\.py.*?)```", GUIDE, re.DOTALL)
[html] = re.findall(r"```html\n(<!doctype.*?)```", GUIDE, re.DOTALL)
html = html.replace("http://127.0.0.1:8000", os.environ["CLAIMCHECK_URL"])
html = html.replace('<form method="post">', '<form method="post"><fieldset>')


async def form(request: Request) -> HTMLResponse:
    policy = POLICY.format(os.environ["CLAIMCHECK_URL"])
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


names: dict[str, Any] = {}
exec(code, names)
app.routes.extend([*names["routes"], Route("/form", form)])
