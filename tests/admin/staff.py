"""The example, and beside it an admin with a log-in, a list of files and required ones."""

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
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
sessions = Middleware(SessionMiddleware, secret_key="secret of a test", session_cookie="staff")
staff = Admin(
    engine,
    base_url="/staff",
    route_name="staff",
    additional_loaders=[pages],
    plugins=[S3UploadPlugin(service)],
    auth_provider=Staff(),
    middlewares=[sessions],
)
staff.add_view(AlbumView(Album))
staff.mount_to(app)
