"""The panel links to no file that is not clean; staff release one with a reason."""

import logging
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Mount

from app.main import create_app
from app.settings.model import Settings
from tests.admin.panel import Panel, member, said
from tests.admin.views.steps import RECORDS, link, signed_in
from tests.support.samples import PNG
from tests.support.service import log_lines, prepared
from tests.support.steps import setting, stored

RECORD = "/records/product/of/42"
# Every page that is about files, and what it asks for.
PAGES = {
    "/files": ["/files", "/files?q=a", "/files?destination=images&loose=0"],
    "/files/{id}": ["/files/{id}", "/files/{id}?show=1"],
    "/files/upload": ["/files/upload"],
    "/files/{id}/open": ["/files/{id}/open"],
    "/files/{id}/change": ["/files/{id}/change"],
    "/files/{id}/clear": ["/files/{id}/clear"],
    "/files/{id}/release": ["/files/{id}/release"],
    "/files/{id}/delete": ["/files/{id}/delete"],
    "/records": ["/records"],
    "/records/{type}": ["/records/product"],
    "/records/{type}/new": ["/records/product/new"],
    "/records/{type}/of/{id}": [RECORD],
    "/records/{type}/of/{id}/forget": [f"{RECORD}/forget"],
    "/uploads": ["/uploads"],
    "/events": ["/events", "/events?q={id}"],
}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    ours = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"}
    scans = setting("images", "scan", "required") | setting("images", "scanner", "api")
    settings = await prepared(environ | ours | RECORDS | scans)
    await member(settings, tenant="acme")
    return settings


@pytest.fixture
async def file(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, Any]:
    file = await stored(client, web, PNG, "a.png", destination="images")
    held = {"file_id": file["id"]}
    assert (await client.put("/v1/records/product/42/picture", json=held)).status_code == 200
    return file


async def judged(db: Any, scan: str) -> None:
    await db.execute("UPDATE files SET scan = $1", scan)


def shows(answer: httpx.Response, file: dict[str, Any]) -> bool:
    return "X-Amz-Signature" in unescape(f"{answer.text} {answer.headers}")


def routes_of(routes: list[BaseRoute], prefix: str = "") -> set[str]:
    found = set()
    for route in routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        found |= routes_of(inner, path) if isinstance(route, Mount) and inner else {path}
    return found


def test_every_page_of_files_is_walked(settings: Settings) -> None:
    of_others = (
        "/keys",
        "/webhooks",
        "/requests",
        "/usage",
        "/destinations",
        "/login",
        "/logout",
        "/static",
        "/_api",
    )
    there = {
        path.removeprefix("/admin")
        for path in routes_of(create_app(settings).router.routes)
        # The panel's library has pages of models, of which there are none.
        if path.startswith("/admin/") and "{key}" not in path and "{storage}" not in path
    }
    there = {path for path in there if path != "/" and not path.startswith(of_others)}
    # They end an upload, and begin one; or act on many, which shows no more than their names.
    there -= {"/files/many", "/uploads/many", "/files/upload/session"}
    there -= {"/uploads/{id}/abort", "/records/{type}/fields/{field}/session"}
    assert there == PAGES.keys()


async def walked(panel: Panel, file: dict[str, Any]) -> set[str]:
    """The pages that show a link."""
    found = set()
    for route, paths in PAGES.items():
        for path in paths:
            answer = await panel.get(path.replace("{id}", file["id"]))
            assert answer.status_code < 500, path
            if shows(answer, file):
                found.add(route)
    return found


async def test_no_page_links_to_it(
    panel: Panel, file: dict[str, Any], db: Any, client: httpx.AsyncClient
) -> None:
    for scan in ("pending", "infected", "failed"):
        await judged(db, scan)
        assert await walked(panel, file) == set(), scan
        assert (await panel.get(f"/files/{file['id']}/open")).status_code in {409, 410}
    await judged(db, "clean")
    assert await walked(panel, file) == {
        *("/files", "/files/{id}", "/files/{id}/open"),
        *("/records/{type}", "/records/{type}/of/{id}"),
    }


async def test_release_with_a_reason(
    panel: Panel,
    file: dict[str, Any],
    db: Any,
    settings: Settings,
    browsers: Callable[[], Panel],
    web: httpx.AsyncClient,
    client: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    await judged(db, "infected")
    at = f"/files/{file['id']}"
    assert "Infected" in await panel.page("/files")
    assert "Scan Infected" in await panel.page(at)
    asked = link(await panel.get(at), "Release from quarantine…")
    assert asked == f"{at}/clear"
    assert "Your name and the reason are kept" in await panel.page(asked)
    for reason in ("", "  ", "a\x00b"):
        answer = await panel.post(asked, {"reason": reason})
        assert answer.status_code == 422
        assert "Say why the file is released" in said(answer)
    assert (await client.get(f"/v1{at}")).json()["scan"] == "infected"

    reader = await signed_in(
        browsers(), settings, "reader@example.com", tenant="acme", scopes=["files:read"]
    )
    assert "Release" not in await reader.page(at)
    assert (await reader.post(asked, {"reason": "I say so"})).status_code == 403
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert (await stranger.post(asked, {"reason": "I say so"})).status_code == 404

    page = await panel.act(asked, {"reason": "a <b>mistake</b>"})
    assert "a.png is released from quarantine." in page
    assert "Clean released by staff:ann@example.com: a <b>mistake</b>" in page
    read = (await client.get(f"/v1{at}")).json()
    assert (await web.get(read["presigned_url"])).content == PNG
    [line] = [line for line in log_lines(caplog, "audit") if line["event"] == "file.cleared"]
    assert line["owner"] == "staff:ann@example.com"
    assert line["reason"] == "released by staff:ann@example.com: a <b>mistake</b>"
