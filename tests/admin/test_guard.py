"""Around the panel: failures outside its views, headers, log lines, doors that are shut."""

import logging
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from app.errors import DatabaseUnavailable
from app.settings.model import Settings
from app.staff import accounts as staff
from tests.admin.panel import CHEAP, Panel, member
from tests.support.service import UNKNOWN_ID, log_lines, prepared, running
from tests.support.unread import BODIES, unread


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)
    staff._dummy_hash.cache_clear()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"})
    await member(settings)
    return settings


@pytest.fixture
async def panel(settings: Settings) -> AsyncIterator[Panel]:
    async with running(settings) as client:
        yield Panel(client)


def guarded(response: httpx.Response) -> None:
    """It has the panel's headers, and nobody keeps it."""
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"


async def test_a_database_that_is_away_is_named(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.sign_in()

    async def away(*_: object) -> None:
        raise DatabaseUnavailable("The database did not answer.", retry_after=2)

    monkeypatch.setattr(staff, "member_of", away)
    for path in ("/files", "/login", "/nosuch"):
        response = await panel.get(path)
        assert response.status_code == 503
        assert response.text == "The database is unavailable: The database did not answer."
        assert response.headers["retry-after"] == "2"
        guarded(response)


async def test_what_nobody_expected_leaks_nothing(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await panel.sign_in()

    async def broken(*_: object) -> None:
        raise RuntimeError("of no concern to anybody")

    monkeypatch.setattr(staff, "member_of", broken)
    response = await panel.get("/files", headers={"x-request-id": "abc-1"})
    assert response.status_code == 500
    assert "Quote request id abc-1" in response.text
    assert "of no concern" not in response.text
    guarded(response)
    [line] = log_lines(caplog, "errors")
    assert line["event"] == "unexpected_failure"
    assert "of no concern" in line["exception"]


async def test_a_form_that_is_none(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    response = await panel.client.post(
        "/admin/login",
        content=b"--b\r\nno header at all",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 400
    guarded(response)
    assert not log_lines(caplog, "errors")


async def test_a_form_without_end(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "claimcheck")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b"a" * 1024

    response = await panel.client.post(
        "/admin/login",
        content=endless(),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 413
    assert response.json()["title"] == "The request body is too large"
    [line] = log_lines(caplog, "access")
    assert (line["status"], line["route"]) == (413, "/admin/*")


async def test_only_files_are_kept(panel: Panel) -> None:
    await panel.sign_in()
    kept = await panel.get("/static/panel.css")
    assert kept.headers["cache-control"] == "public, max-age=3600"
    same = await panel.get("/static/panel.css", headers={"if-none-match": kept.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (304, "public, max-age=3600")
    # A page with a token in it.
    missing = await panel.get("/static/nosuch.css")
    assert missing.status_code == 404
    assert "csrftoken" in missing.text
    guarded(missing)


async def test_log_lines_name_the_route_and_no_search(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    await panel.get("/files?q=private")
    await panel.sign_in()
    await panel.get(f"/files/{'0' * 32}")
    await panel.get("/static/panel.css")
    await panel.get("/nosuch")
    await panel.client.get("/admin")
    lines = [(line["route"], line["status"]) for line in log_lines(caplog, "access")]
    assert lines == [
        ("/admin/*", 303),
        ("/admin/login", 200),
        ("/admin/login", 303),
        ("/admin/files/{id}", 404),
        ("/admin/static", 200),
        ("/admin/*", 404),
        ("/admin", 308),
    ]


OPEN = {"/login", "/static"}


def _doors(app: Starlette) -> list[tuple[str, str]]:
    """Each path of the panel with each method, ids filled in."""
    paths = [route.path for route in app.routes if isinstance(route, (Route, Mount))]
    assert len(paths) == len(app.routes)
    nobodys = "00000000-0000-0000-0000-000000000000"
    return [
        (method, re.sub(r"\{[^}]+\}", nobodys, path))
        for path in paths
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    ]


async def test_every_door_is_shut_to_who_has_not_signed_in(panel: Panel) -> None:
    transport: Any = panel.client._transport
    [mount] = [route for route in transport.app.routes if getattr(route, "name", "") == "admin"]
    token = await panel.token()
    walked = 0
    for method, path in _doors(mount.app):
        if path in OPEN:
            continue
        response = await panel.client.request(
            method, f"/admin{path}", headers={"x-csrftoken": token}
        )
        assert response.status_code == 303, (method, path, response.text)
        assert response.headers["location"].startswith("http://127.0.0.1/admin/login?")
        guarded(response)
        walked += 1
    assert walked > 60


async def test_no_form_is_read_of_who_has_not_signed_in(panel: Panel) -> None:
    client = panel.client
    token = await panel.token()
    transport: Any = client._transport
    [mount] = [route for route in transport.app.routes if getattr(route, "name", "") == "admin"]
    walked = 0
    for route in mount.app.routes:
        if route.path in {"/login", "/static"}:
            continue
        path = f"/admin{re.sub(r'{[^}]+}', UNKNOWN_ID, route.path)}"
        for method in ("POST", "PUT", "DELETE"):
            for cookie in ({}, {f"claimcheck_admin_{'0' * 8}": f"claimcheck_staff_{'a' * 43}"}):
                client.cookies.update(cookie)
                for kind in BODIES[2:]:
                    response = await unread(client, method, path, kind | {"x-csrftoken": token})
                    assert response.status_code == 303, (method, path)
                    assert "/admin/login" in response.headers["location"]
                    walked += 1
    assert walked > 200


def test_its_own_door_goes_the_short_way(panel: Panel) -> None:
    transport: Any = panel.client._transport
    routes = [route for route in transport.app.routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes if not getattr(route, "is_lean", False)] == []
    assert "/admin" in {route.path for route in routes}


async def test_nobody_waits_while_the_first_page_is_compiled(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling, compile_one = list[int](), Environment.compile

    def noted(*args: Any, **kwargs: Any) -> Any:
        compiling.append(threading.get_ident())
        return compile_one(*args, **kwargs)

    monkeypatch.setattr(Environment, "compile", noted)
    # To sign in with, and of what is not there: neither is a view's.
    await panel.sign_in()
    assert (await panel.get("/nosuch")).status_code == 404
    assert len(compiling) >= 2
    assert threading.get_ident() not in compiling
