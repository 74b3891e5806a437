"""Signing in to the panel, and who is kept out of it."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from app.settings.model import Settings
from app.staff import accounts as staff
from tests.admin.panel import CHEAP, CSRF, NAME, PASSWORD, Panel, member, resources, said
from tests.support.service import Clock, key_for, prepared, running


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)
    staff._dummy_hash.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"})
    await member(settings)
    return settings


@pytest.fixture
async def panel(settings: Settings, clock: Clock) -> AsyncIterator[Panel]:
    async with running(settings, clock=clock) as client:
        yield Panel(client)


async def is_in(panel: Panel) -> bool:
    response = await panel.get("/files")
    if response.status_code == 303:
        assert "/admin/login?" in response.headers["location"]
        return False
    assert response.status_code == 200
    return True


async def test_nobody_is_let_in_without_signing_in(panel: Panel) -> None:
    for path in ("", "/", "/files", "/keys", "/records", "/destinations", "/nosuch"):
        response = await panel.get(path, follow_redirects=True)
        assert response.url.path == "/admin/login"
        assert "Sign in" in said(response)
    assert (await panel.post("/keys/new", {"name": "a"})).status_code == 303
    # Nor is an API key a session, or a made-up token.
    header = await key_for((await panel_settings(panel)), "admin")
    assert (await panel.get("/files", headers=header)).status_code == 303


async def panel_settings(panel: Panel) -> Settings:
    transport = panel.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    settings: Settings = transport.app.state.resources.settings  # type: ignore[attr-defined]
    return settings


async def test_signing_in_and_out(panel: Panel) -> None:
    before = await panel.get("/files?q=a")
    response = await panel.sign_in(path=before.headers["location"].partition("/admin")[2])
    assert response.status_code == 303
    assert response.headers["location"] == "http://127.0.0.1/admin/files?q=a"
    [cookie] = [c for c in response.headers.get_list("set-cookie") if "claimcheck_admin_" in c]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/admin" in cookie
    # This machine's own address, without TLS.
    assert "Secure" not in cookie
    assert await is_in(panel)
    assert NAME in await panel.page("/files")

    token, name = panel.session, next(n for n in panel.client.cookies if n.startswith("claimch"))
    assert token
    left = await panel.post("/logout", follow_redirects=True)
    assert left.url.path == "/admin/login"
    assert not await is_in(panel)
    # Whoever kept the cookie is out too.
    panel.client.cookies.set(name, token)
    assert not await is_in(panel)


async def test_elsewhere_the_cookies_are_for_tls_alone(panel: Panel) -> None:
    at = {"host": "files.example.com", "origin": "https://files.example.com"}
    page = await panel.get("/login", headers=at)
    assert all("secure" in c.lower() for c in page.headers.get_list("set-cookie"))
    assert 'href="https://files.example.com/admin/static/panel.css' in page.text
    token = page.cookies[CSRF]
    response = await panel.client.post(
        "/admin/login",
        data={"csrftoken": token, "username": NAME, "password": PASSWORD},
        headers=at | {"cookie": f"{CSRF}={token}"},
    )
    assert response.headers["location"] == "https://files.example.com/admin/"
    [cookie] = [c for c in response.headers.get_list("set-cookie") if "claimcheck_admin_" in c]
    assert "Secure" in cookie


@pytest.mark.parametrize(
    ("name", "password"),
    [(NAME, "wrong"), ("nobody", PASSWORD), ("", ""), (f"{NAME}\0", PASSWORD)],
)
async def test_who_does_not_know_the_password_stays_out(
    panel: Panel, name: str, password: str
) -> None:
    response = await panel.sign_in(name, password)
    assert response.status_code == 403
    assert "This name and password do not go together" in said(response)
    assert panel.session is None
    assert not await is_in(panel)


async def test_a_session_that_was_planted_is_not_taken_over(panel: Panel) -> None:
    await panel.sign_in()
    planted = panel.session
    await panel.sign_in()
    assert planted
    assert panel.session != planted
    assert await is_in(panel)
    name = next(name for name in panel.client.cookies if name.startswith("claimcheck"))
    panel.client.cookies = httpx.Cookies({name: planted})
    assert not await is_in(panel)


async def test_too_many_attempts(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "MAX_OF_ACCOUNT_THERE", 2)
    for _ in range(2):
        assert (await panel.sign_in(password="wrong")).status_code == 403
    response = await panel.sign_in()
    assert response.status_code == 429
    assert 0 < int(response.headers["retry-after"]) <= staff.WINDOW.total_seconds()
    assert "Too many failed attempts. Try again in 15 minutes." in said(response)
    assert not await is_in(panel)


async def test_a_session_ends(panel: Panel, settings: Settings, clock: Clock) -> None:
    await panel.sign_in()
    clock.ahead = staff.IDLE + timedelta(seconds=1)
    assert not await is_in(panel)
    await panel.sign_in()
    assert await is_in(panel)
    async with resources(settings) as res:
        await staff.sign_out_everywhere(res, NAME)
    assert not await is_in(panel)
    await panel.sign_in()
    async with resources(settings) as res:
        await staff.disable(res, NAME)
    assert not await is_in(panel)
    assert (await panel.sign_in()).status_code == 403


FORMS = ["/login", "/logout", "/keys/new", "/records/product/new", "/files/1/delete"]


@pytest.mark.parametrize("path", FORMS)
async def test_no_other_site_can_send_a_form(panel: Panel, path: str) -> None:
    await panel.sign_in()
    token = await panel.token()
    missing = await panel.client.post(f"/admin{path}", data={"name": "a"})
    assert (missing.status_code, missing.text) == (403, "CSRF token missing")
    forged = await panel.client.post(f"/admin{path}", data={"csrftoken": f"{token}x"})
    assert (forged.status_code, forged.text) == (403, "CSRF token invalid")
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:81"},
        {"origin": "null"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        response = await panel.client.post(
            f"/admin{path}", data={"csrftoken": token}, headers=headers
        )
        assert response.status_code == 403
        assert response.text == "This form was not sent from this panel."
    ours = await panel.client.post(
        f"/admin{path}", data={"csrftoken": token}, headers={"origin": "http://127.0.0.1"}
    )
    assert "This form" not in ours.text


async def test_nobody_is_sent_to_another_site(panel: Panel) -> None:
    for there in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"):
        response = await panel.sign_in(path=f"/login?next={there}")
        assert response.headers["location"] == "http://127.0.0.1/admin/"


async def test_headers(panel: Panel, settings: Settings) -> None:
    await panel.sign_in()
    bucket = next(iter(settings.destinations.values())).address.origin
    # The bucket is for pages that send to it.
    for path, bucket_too in (
        *(("/login", ""), ("/files", ""), ("/files/nosuch", ""), ("/nosuch", "")),
        ("/files/upload", f" {bucket}"),
    ):
        headers = (await panel.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert f"connect-src 'self'{bucket_too};" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
    style = await panel.get("/static/panel.css")
    assert style.status_code == 200
    assert style.headers["cache-control"] == "public, max-age=3600"


async def test_pages_load_nothing_from_elsewhere(panel: Panel) -> None:
    await panel.sign_in()
    for path in ("/login", "/files", "/uploads", "/keys", "/destinations", "/records"):
        page = (await panel.get(path, follow_redirects=True)).text
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert loaded
        assert all(one.startswith(("http://127.0.0.1/", "/", "#")) for one in loaded)
        assert "<style" not in page
        assert not re.search(r"\son\w+=|\sstyle=", page)
        assert not re.search(r"<script(?! src=| type=\"module\" src=)", page)


async def test_there_is_no_panel_unless_it_is_switched_on(environ: dict[str, str]) -> None:
    async with running(await prepared(environ)) as client:
        assert (await client.get("/admin/")).status_code == 404
