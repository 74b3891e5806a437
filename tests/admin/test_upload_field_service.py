"""The upload field while the service does not do what it is asked."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html import unescape

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette_admin.contrib.sqla import Admin, ModelView

from app.admin.upload_field import ClaimcheckService, S3UploadField, S3UploadPlugin
from app.settings.model import Settings
from tests.support.service import UNKNOWN_ID, key_for, prepared, running

URL = "http://127.0.0.1:9000/shop/images/11-22-2026_19-07-09-123456--a-lamp.png"


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    image: Mapped[str | None]


class ProductView(ModelView):
    fields = ("id", "name", S3UploadField("image", destination="images"))


@asynccontextmanager
async def admin_of(
    service: ClaimcheckService,
) -> AsyncIterator[tuple[httpx.AsyncClient, Session]]:
    """An admin with one product, and a look into its database."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    app = Starlette()
    admin = Admin(engine, plugins=[S3UploadPlugin(service)], secret_key="of a test")
    admin.add_view(ProductView(Product))
    admin.mount_to(app)
    transport = httpx.ASGITransport(app)
    with Session(engine) as db:
        db.add(Product(id=1, name="Lamp", image=URL))
        db.commit()
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as web:
            await web.get("/admin/product/list")
            web.headers["X-CSRFToken"] = web.cookies["starlette_admin_csrftoken"]
            yield web, db
    engine.dispose()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def sealed_in(page: str) -> str:
    [value] = re.findall(r'name="image"\s+value="([^"]+)"', page)
    return unescape(value)


async def test_while_it_is_away_all_else_can_be_changed(nobody: str) -> None:
    form = "/admin/product/edit?pk=1"
    async with admin_of(ClaimcheckService(nobody, "key")) as (web, db):
        listed = await web.get("/admin/product/list")
        assert "a-lamp.png" in listed.text
        page = await web.get(form)
        assert 'data-filename="a-lamp.png"' in page.text
        data = {"name": "Old lamp", "image": sealed_in(page.text)}
        assert (await web.post(form, data=data)).is_redirect
        product = db.get_one(Product, 1)
        assert (product.name, product.image) == ("Old lamp", URL)

        # A new file has to wait, and is still in the form that is shown again.
        answer = await web.post(form, data={"name": "New lamp", "image": UNKNOWN_ID})
        assert answer.status_code == 422
        assert "The upload service does not answer. Try again later." in answer.text
        assert sealed_in(answer.text) == UNKNOWN_ID
        db.refresh(product)
        assert product.name == "Old lamp"

        answer = await web.post("/admin/plugins/claimcheck/session/images")
        assert answer.status_code == 502
        assert answer.json() == {
            "title": "The upload cannot begin",
            "detail": "The upload service does not answer. Try again later.",
        }
        [link] = re.findall(r'href="([^"]+/file\?of=[^"]+)"', listed.text)
        assert (await web.get(unescape(link))).status_code == 502


async def test_what_it_says_of_the_key_is_passed_on(environ: dict[str, str]) -> None:
    settings: Settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
    async with running(settings) as api:
        for key, says in (
            ("claimcheck_key_none", "The token is not accepted."),
            ((await key_for(settings, "files:read"))["Authorization"][7:], "sessions:mint"),
        ):
            service = ClaimcheckService("http://127.0.0.1", key)
            service._http = httpx.AsyncClient(
                transport=api._transport, base_url=api.base_url, headers=service._http.headers
            )
            async with admin_of(service) as (web, _):
                answer = await web.post("/admin/plugins/claimcheck/session/images")
                assert answer.status_code == 502
                assert says in answer.json()["detail"]
