"""Whoever may not send a request has not a byte of its body read, on any route."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from app.settings.model import Settings
from tests.admin.panel import Panel
from tests.http.test_permissions import METRICS, PUBLIC, routes
from tests.support.service import UNKNOWN_ID, bearer, key_for, prepared, running
from tests.support.steps import minted, slug

KEY = f"claimcheck_key_{'a' * 43}"
SESSION = f"claimcheck_upload_{'a' * 43}"


class Unreadable:
    """A body that says what it is, and that nobody may touch."""

    def __init__(self) -> None:
        self.reads = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.reads += 1
        yield b"["


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_ADMIN": "true",
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
        }
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        yield client


async def unread(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> httpx.Response:
    """The answer to a request with a body, of which nothing was read."""
    body = Unreadable()
    response = await client.request(method, path, content=body, headers=headers)
    assert body.reads == 0, (method, path)
    return response


BODIES: list[dict[str, str]] = [
    {"content-type": "application/json"},
    {"content-type": "application/json", "content-length": "2000000"},
    {"content-type": "application/json", "content-length": "99999999999"},
    {"content-type": "application/x-www-form-urlencoded", "content-length": "50"},
    {"content-type": "multipart/form-data; boundary=b"},
]


async def test_no_route_reads_what_comes_without_a_right(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    narrow = await key_for(settings, "of-no:use", owner="ann", tenant="acme")
    client.headers.update(await key_for(settings, *Scope, owner="ann", tenant="other"))
    session = bearer((await minted(client, destination="files"))["token"])
    del client.headers["Authorization"]
    refused = {
        "nothing": ({}, 401, "credential-required"),
        "no such key": (bearer(KEY), 401, "invalid-token"),
        "no such session": (bearer(SESSION), 401, "invalid-token"),
        "no token of ours": (bearer("a.b.c"), 401, "invalid-token"),
        "no bearer": ({"Authorization": "Basic YTpi"}, 401, "invalid-token"),
        "without the scope": (narrow, 403, "insufficient-scope"),
    }
    walked = 0
    for method, path, _ in routes(settings):
        if path in {*PUBLIC, METRICS} or path.startswith("/admin"):
            continue
        address = re.sub(r"{\w+}", UNKNOWN_ID, path)
        for who, (headers, status, problem) in refused.items():
            for kind in BODIES:
                response = await unread(client, method, address, kind | headers)
                assert response.status_code == status, (who, method, path)
                assert method == "HEAD" or slug(response) == problem, (who, method, path)
                walked += 1
        if not address.startswith(("/v1/uploads", "/v1/upload-url", "/uppy")) and path not in {
            "/v1/files",
            "/v1/destinations",
        }:
            response = await unread(client, method, address, BODIES[0] | session)
            assert response.status_code == 403, (method, path)
    assert walked > 1000


async def test_uppys_door_reads_nothing_for_a_token_in_the_path(client: httpx.AsyncClient) -> None:
    for token in (KEY, SESSION, "none"):
        for path in (
            "s3/multipart",
            "to/files/s3/multipart",
            f"s3/multipart/{UNKNOWN_ID}/complete",
        ):
            for kind in BODIES:
                response = await unread(client, "POST", f"/uppy/{token}/{path}", kind)
                assert (response.status_code, slug(response)) == (401, "invalid-token")


async def test_too_long_a_body_is_refused_to_those_alone_who_may_send_one(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    ann = await key_for(settings, *Scope)
    for path in ("/v1/uploads", "/v1/api-keys", "/v1/upload-url", "/uppy/s3/multipart"):
        response = await unread(client, "POST", path, ann | BODIES[2])
        assert (response.status_code, slug(response)) == (413, "request-too-large")


async def test_the_panel_reads_no_form_of_who_has_not_signed_in(client: httpx.AsyncClient) -> None:
    panel = Panel(client)
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
