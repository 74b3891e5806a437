"""Around every request: ids, limits, the access log, the loopback guard, CORS, headers."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.http.connections import LimitedProtocol
from app.main import create_app
from app.settings.model import Settings, load_settings
from tests.support.service import UNKNOWN_ID, log_lines, prepared, running
from tests.support.steps import announced, slug, stored

ORIGIN = "https://www.example.com"
JSON = {"Content-Type": "application/json"}
KIB = 1024


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_CORS_ORIGINS": f"{ORIGIN}, http://localhost:3000"})


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_at(
    app: FastAPI, address: str = "127.0.0.1", base_url: str = "http://127.0.0.1"
) -> httpx.AsyncClient:
    """A client that the application sees at this address."""
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url=base_url)


class Body:
    """A chunked body that counts how many of its bytes were taken."""

    def __init__(self, size: int) -> None:
        self.left, self.taken = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            chunk = b" " * min(16 * KIB, self.left)
            self.left -= len(chunk)
            self.taken += len(chunk)
            yield chunk


LIMITS = (
    ("/v1/uploads", 64 * KIB),
    ("/v1/files", 64 * KIB),
    (f"/v1/uploads/{UNKNOWN_ID}/confirm", 64 * KIB),
    ("/v1/uploads/batch", 256 * KIB),
    ("/v1/files/presign", 256 * KIB),
)


async def test_a_body_that_says_it_is_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    for path, limit in LIMITS:
        body = Body(10 * KIB**2)
        headers = JSON | {"Content-Length": str(limit + 1)}
        response = await client.post(path, content=body, headers=headers)
        assert (response.status_code, slug(response)) == (413, "request-too-large"), path
        assert response.json()["limit"] == limit
        assert body.taken == 0
    # Where nobody would read it, its length does not matter.
    body = Body(10 * KIB**2)
    headers = JSON | {"Content-Length": str(10 * KIB**2)}
    response = await client.post("/nowhere", content=body, headers=headers)
    assert (response.status_code, slug(response), body.taken) == (404, "route-not-found", 0)


async def test_a_body_that_does_not_say_is_read_to_the_limit(client: httpx.AsyncClient) -> None:
    for path, limit in (LIMITS[0], LIMITS[1], LIMITS[3], LIMITS[4]):
        body = Body(10 * KIB**2)
        response = await client.post(path, content=body, headers=JSON)
        assert (response.status_code, slug(response)) == (413, "request-too-large"), path
        assert body.taken <= limit + 16 * KIB


async def test_a_body_at_the_limit_is_read(client: httpx.AsyncClient) -> None:
    announcement = b'{"destination": "files", "filename": "a", "size": 1}'
    for path, limit, status in (
        ("/v1/uploads", 64 * KIB, 201),
        ("/v1/uploads/batch", 256 * KIB, 200),
    ):
        good = announcement if status == 201 else b'{"uploads": [' + announcement + b"]}"
        full = good.ljust(limit)
        assert (await client.post(path, content=full, headers=JSON)).status_code == status
        assert (await client.post(path, content=full + b" ", headers=JSON)).status_code == 413


async def test_a_length_that_is_no_number_is_refused(client: httpx.AsyncClient) -> None:
    for length in ("-1", "1e3", "0x10", "²", "9" * 5000):
        headers = {**JSON, "Content-Length": length.encode()}
        response = await client.post("/v1/files", content=Body(1), headers=headers)
        assert (response.status_code, slug(response)) == (413, "request-too-large"), length


async def test_the_request_id_is_the_callers_or_a_new_one(client: httpx.AsyncClient) -> None:
    for given in ("abc", "0c7c2d6f-5f0b.4b0f_A", "x" * 64):
        response = await client.get("/livez", headers={"X-Request-ID": given})
        assert response.headers["x-request-id"] == given
    made = set()
    for given in ("", "x" * 65, "a b", "a\tb", "<script>", 'a"b', "é", "a,b"):
        response = await client.get("/livez", headers={"X-Request-ID": given.encode()})
        assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])
        made.add(response.headers["x-request-id"])
    made.add((await client.get("/livez")).headers["x-request-id"])
    assert len(made) == 9


async def test_the_access_log_has_one_line_and_no_secret(
    client: httpx.AsyncClient, web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "claimcheck"):
        upload = await announced(client, b"hello")
        file = await stored(client, web)
        await client.post(
            "/v1/files",
            json={"url": file["presigned_url"]},
            headers={"Authorization": "Bearer hunter2", "X-Request-ID": "my-id"},
        )
        await client.get(f"/v1/files/{file['id']}/content", params={"filename": "hunter2.png"})
        await client.get("/v1/files?cursor=hunter2&X-Amz-Signature=hunter2")
        await client.get("/a%0Ab%1b[31m")
        await client.get("/" + "a" * 60_000)
    lines = log_lines(caplog, "access")
    assert len(lines) == 8
    first = lines[0]
    assert datetime.fromisoformat(first.pop("time")).tzinfo is UTC
    assert re.fullmatch("[0-9a-f]{16}", first.pop("request_id"))
    assert first.pop("ms") > 0
    assert first.pop("bytes_out") > 100
    assert first == {
        "level": "info",
        "logger": "claimcheck.access",
        "event": "request",
        "method": "POST",
        "route": "/v1/uploads",
        "path": "/v1/uploads",
        "status": 201,
        "bytes_in": len('{"destination":"files","filename":"a.png","size":5}'),
        "client": "127.0.0.1",
        "owner": "dev",
        "tenant": "",
        "credential": "none",
    }
    assert (lines[3]["status"], lines[3]["request_id"]) == (200, "my-id")
    assert (lines[4]["status"], lines[4]["bytes_out"]) == (302, 0)
    assert lines[4]["route"] == "/v1/files/{file_id}/content"
    assert lines[4]["path"] == f"/v1/files/{file['id']}/content"
    assert (lines[5]["path"], lines[5]["status"]) == ("/v1/files", 422)
    assert (lines[6]["path"], lines[6]["route"]) == (r"/a\nb\x1b[31m", "unmatched")
    assert "owner" not in lines[6]
    assert (lines[7]["path"], lines[7]["status"]) == ("/" + "a" * 2047, 414)
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("claimcheck"))
    secrets = [
        "hunter2",
        "X-Amz",
        upload["upload"]["fields"]["policy"],
        upload["upload"]["fields"]["x-amz-signature"],
        httpx.URL(file["presigned_url"]).params["X-Amz-Signature"],
    ]
    for secret in secrets:
        assert secret not in ours
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_only_this_machine_is_answered(app: FastAPI) -> None:
    for address, base_url in (
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("127.0.0.1", "http://localhost:8000"),
        ("127.8.9.10", "http://LOCALHOST"),
        ("::1", "http://[::1]:8000"),
    ):
        async with client_at(app, address, base_url) as client:
            assert (await client.get("/livez")).status_code == 200, (address, base_url)
    for address, base_url in (
        ("203.0.113.5", "http://127.0.0.1:8000"),
        ("10.0.0.1", "http://localhost"),
        ("2001:db8::1", "http://[::1]"),
        ("not an address", "http://localhost"),
        # A name of somebody else's that points to 127.0.0.1 (DNS rebinding).
        ("127.0.0.1", "http://rebind.example.com:8000"),
        ("127.0.0.1", "http://localhost.example.com"),
        ("127.0.0.1", "http://127.0.0.1.example.com"),
        ("127.0.0.1", "http://192.168.1.5:8000"),
        ("127.0.0.1", "http://[2001:db8::1]"),
        ("::1", "http://example.com"),
    ):
        async with client_at(app, address, base_url) as client:
            for path in ("/livez", "/", "/openapi.json", "/v1/files"):
                response = await client.get(path)
                assert (response.status_code, slug(response)) == (403, "loopback-only"), base_url


async def test_the_guard_stands_before_the_body_and_for_a_missing_host(app: FastAPI) -> None:
    body = Body(KIB)
    async with client_at(app, "203.0.113.5") as client:
        response = await client.post("/v1/uploads", content=body, headers=JSON)
    assert (response.status_code, body.taken) == (403, 0)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.0",
        "method": "GET",
        "scheme": "http",
        "path": "/livez",
        "raw_path": b"/livez",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 403


async def test_a_service_that_was_not_told_who_may_ask_lets_nobody_in(
    environ: dict[str, str],
) -> None:
    del environ["CLAIMCHECK_AUTH"]
    async with running(load_settings(environ)) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/v1/files")).status_code == 401
        bearer = {"Authorization": f"Bearer claimcheck_key_{'a' * 43}"}
        assert (await client.get("/v1/files", headers=bearer)).status_code == 401


async def test_with_authentication_the_address_does_not_matter(environ: dict[str, str]) -> None:
    app = create_app(load_settings(environ | {"CLAIMCHECK_AUTH": "keys"}))
    async with client_at(app, "203.0.113.5") as client:
        assert (await client.get("/livez")).status_code == 200


async def test_exact_origins_may_read_the_answers(client: httpx.AsyncClient) -> None:
    for origin in (ORIGIN, "http://localhost:3000"):
        for path in ("/v1/files", "/v1/files?limit=0", "/nowhere"):
            response = await client.get(path, headers={"Origin": origin})
            assert response.headers["access-control-allow-origin"] == origin
            assert "access-control-allow-credentials" not in response.headers
            exposed = response.headers["access-control-expose-headers"].split(", ")
            assert {"Location", "Link", "Retry-After", "X-Request-ID"} <= set(exposed)
            assert "Origin" in response.headers["vary"]
    for origin in (
        "https://example.com",
        "http://www.example.com",
        "https://www.example.com:444",
        "https://www.example.com.evil.example",
        "https://evil-www.example.com",
        "null",
    ):
        response = await client.get("/v1/files", headers={"Origin": origin})
        assert "access-control-allow-origin" not in response.headers, origin


def test_the_guide_names_the_headers_that_pages_of_another_origin_may_send(app: FastAPI) -> None:
    [cors] = [layer for layer in app.user_middleware if layer.cls is CORSMiddleware]
    names = ", ".join(f"`{name}`" for name in sorted(cors.kwargs["allow_headers"]))
    guide = (Path(__file__).parents[2] / "docs" / "browser.md").read_text(encoding="utf-8")
    assert " and ".join(names.rsplit(", ", 1)) in guide


async def test_preflights(client: httpx.AsyncClient) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "content-type,x-request-id,idempotency-key,if-match",
        }
        response = await client.options("/v1/files", headers=asked)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert method in response.headers["access-control-allow-methods"]
    for change in (
        {"Origin": "https://evil.example"},
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Headers": "x-evil"},
    ):
        response = await client.options("/v1/files", headers=asked | change)
        assert response.status_code == 400, change


async def test_without_origins_no_page_of_another_origin_is_let_in(environ: dict[str, str]) -> None:
    app = create_app(load_settings(environ))
    async with client_at(app) as client:
        response = await client.get("/livez", headers={"Origin": "http://localhost:3000"})
        assert "access-control-allow-origin" not in response.headers


async def test_every_answer_has_the_default_headers(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web)
    for method, path, status in (
        ("GET", "/livez", 200),
        ("GET", "/v1/files", 200),
        ("GET", f"/v1/files/{file['id']}", 200),
        ("GET", f"/v1/files/{file['id']}/content", 302),
        ("POST", f"/v1/uploads/{file['id']}/confirm", 200),
        ("GET", "/v1/destinations", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/files", 405),
        ("POST", "/v1/files", 422),
        ("DELETE", f"/v1/files/{file['id']}", 204),
    ):
        response = await client.request(method, path)
        assert response.status_code == status, path
        caching = "no-cache" if path == "/openapi.json" else "no-store"
        assert response.headers["cache-control"] == caching
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-request-id"]


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz", "/v1/files", "/openapi.json", "/", "/v1/nothing"):
        head, get = await client.head(path), await client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["content-type"] == get.headers["content-type"]


async def test_the_server_takes_an_answer_to_head_for_a_whole_one(app: FastAPI) -> None:
    config, state = Config(app, log_config=None, access_log=False), ServerState()
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedProtocol(config, state, {}), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    one = httpx.Limits(max_connections=1)
    url = f"http://{host}:{port}"
    async with httpx.AsyncClient(base_url=url, limits=one, timeout=60) as client:
        for path in ("/livez", "/v1/files", "/openapi.json", "/static/page.js", "/v1/nothing"):
            await client.head(path)
            assert len(state.connections) == 1, path
    assert state.total_requests == 5
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "name", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host"]
)
async def test_what_a_proxy_has_touched_is_refused(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get("/v1/destinations", headers={name: "127.0.0.1"})
    assert (response.status_code, slug(response)) == (403, "loopback-only")


async def test_what_is_not_http_passes_through(app: FastAPI) -> None:
    started: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        started.append(scope["type"])

    for middleware in app.user_middleware:
        if middleware.cls.__module__ == "app.http.middleware":
            await middleware.cls(inner)({"type": "websocket"}, None, None)
    assert started == ["websocket"] * 3
