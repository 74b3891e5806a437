"""The short way answers as FastAPI's own way does, and the hot routes take it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Response
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.types import Message

from app.core.principal import Scope
from app.http.lean_route import LeanRoute
from app.main import create_app
from app.settings.model import Settings
from tests.http.twins import Both
from tests.support.service import key_for, prepared, running
from tests.support.steps import announced, stored

JSON = {"Content-Type": "application/json"}
# Fixed: test processes side by side must collect the same names.
SOME_ID = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"


@pytest.fixture(scope="module")
async def both() -> AsyncIterator[Both]:
    found = Both()
    yield found
    for client in found.clients:
        await client.aclose()


GOOD = b'{"destination": "files", "filename": "a.png", "size": 5}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (GOOD, 200),
        (b" \n" + GOOD + b"\t ", 200),
        (GOOD.replace(b"a.png", "Ελλάδα 😀.png".encode()), 200),
        (GOOD.replace(b"a.png", rb"\ud83d\ude00"), 200),
        (GOOD.replace(b"a.png", rb"\ud83d"), 422),
        (GOOD.replace(b"a.png", rb"\u0000"), 200),
        (GOOD.replace(b'"size": 5', b'"size": 5, "size": 6'), 200),
        (GOOD.replace(b"5", b"5, " + b'"content_type": null'), 200),
        (GOOD.decode().encode("utf-16"), 200),
        (GOOD.decode().encode("utf-8-sig"), 200),
        (GOOD.replace(b"5", b"1" * 4000), 422),
        (GOOD.replace(b"5", b"1" * 5000), 400),
        (GOOD.replace(b"5", b"5.0"), 422),
        (GOOD.replace(b"5", b'"5"'), 422),
        (GOOD.replace(b"5", b"true"), 422),
        (GOOD.replace(b"5", b"NaN"), 422),
        (GOOD.replace(b"5", b"-1"), 422),
        (GOOD.replace(b"5", b"5,"), 400),
        (GOOD.replace(b"5", b"05"), 400),
        (GOOD.replace(b"5", b'5, "extra": 1'), 422),
        (GOOD.replace(b"a.png", b"a" * 5000), 422),
        (GOOD.replace(b"a.png", b"\xff"), 400),
        (GOOD.replace(b"a.png", b"a\nb"), 400),
        (GOOD.replace(b'"', b"'"), 400),
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"{", 400),
        (b"[" * 3000 + b"]" * 3000, 400),
    ],
)
async def test_bodies(both: Both, body: bytes, status: int) -> None:
    assert (await both("POST", "/announce", content=body, headers=JSON)).status_code == status
    # Who asks is decided before what is asked; FastAPI reads what can be read first.
    lean, own = [
        await client.post("/announce", content=body, headers=JSON | {"X-Caller": "refused"})
        for client in both.clients
    ]
    assert (lean.status_code, own.status_code) == (403, 400 if status == 400 else 403)
    for path in ("/batch", "/two", "/presign", "/optional"):
        await both("POST", path, content=body, headers=JSON)


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_fields = st.sampled_from(["destination", "filename", "size", "content_type", "checksum_sha256"])
_values = _scalars | st.sampled_from(["image/png", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="])


@given(st.dictionaries(_fields | st.text(max_size=4), _values), st.booleans())
async def test_any_json(both: Both, fields: dict[str, Any], filled: bool) -> None:
    if filled:
        fields = {"destination": "f", "filename": "a", "size": 1} | fields
    await both("POST", "/announce", content=json.dumps(fields), headers=JSON)


@pytest.mark.parametrize(
    "kind",
    [
        *("application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json"),
        *("text/plain", "application/octet-stream", "multipart/form-data", "nonsense", ""),
    ],
)
async def test_content_types(both: Both, kind: str) -> None:
    for path in ("/announce", "/optional"):
        for content in (GOOD, b"", b"null", b'{"ids": []}', b'{"urls": ["x"]}'):
            await both("POST", path, content=content, headers={"Content-Type": kind})
            await both("POST", path, content=content)
    await both("POST", "/announce", content=GOOD)


@pytest.mark.parametrize(
    "file_id",
    [
        SOME_ID,
        SOME_ID.replace("-", ""),
        SOME_ID.upper(),
        f"{{{SOME_ID}}}",
        f"urn:uuid:{SOME_ID}",
        "0-" + SOME_ID.replace("-", "")[1:],
        *("1", "x", "%00", "%ff", "é", SOME_ID + "0"),
    ],
)
async def test_path_parameters(both: Both, file_id: str) -> None:
    for number in ("1", "-1", "1.0", "1e3", "x", "٣"):
        for caller in ("somebody", "refused"):
            await both("GET", f"/files/{file_id}/{number}", headers={"X-Caller": caller})


async def test_what_goes_the_long_way(both: Both) -> None:
    for path, status in (
        ("/agent", 200),
        ("/scoped", 200),
        ("/model", 200),
        ("/guarded", 200),
    ):
        assert (await both("GET", path)).status_code == status
    for path in ("/agent", "/scoped", "/model", "/guarded"):
        assert (await both("GET", path, headers={"X-Caller": "refused"})).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/query/1", 200), ("/query/x", 422), ("/query/1?limit=3&name=x&kind=b", 200)),
        *(("/query/1?limit=0", 422), ("/query/1?limit=", 422), ("/query/1?limit=3&limit=4", 200)),
        *(("/query/1?name=", 200), ("/query/1?name=sixsix", 422), ("/query/1?kind=c", 422)),
        *(("/query/1?tags=a&tags=b", 200), ("/query/1?unknown=1", 200), ("/query/1?name", 200)),
        *(("/query/1?name=%ff", 200), ("/query/1?name=a%00", 200), ("/query/1?name=a+b", 200)),
        *(("/needed", 422), ("/needed?limit=1", 200), ("/needed?limit=1.5", 422)),
        *(("/narrowed", 200), ("/narrowed?limit=3&attached=false", 200)),
        *(("/narrowed?limit=0", 422), ("/narrowed?limit=3&limit=4", 200)),
        *(("/narrowed?unknown=1", 422), ("/narrowed?content_type=image/*", 200)),
        *(("/narrowed?created_after=2026-01-01", 200), ("/narrowed?created_after=x", 422)),
        *(("/narrowed?cursor=", 200), ("/narrowed?destination=%ff", 422)),
    ],
)
async def test_query_parameters(both: Both, path: str, status: int) -> None:
    assert (await both("GET", path)).status_code == status
    # Who asks is decided before what is asked.
    refused = {"X-Caller": "refused"}
    if path != "/needed" and not path.startswith("/needed?"):
        assert (await both("GET", path, headers=refused)).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("X-Mark", "3")], 200),
        ([("x-mark", "3"), ("X-Other", "a, b")], 200),
        ([("X-Mark", "3"), ("X-Mark", "4")], 200),
        ([("X-Mark", "10")], 422),
        ([("X-Mark", "")], 422),
        ([("X-Other", "é".encode())], 200),
    ],
)
async def test_headers(both: Both, headers: list[tuple[str, Any]], status: int) -> None:
    assert (await both("GET", "/headers", headers=headers)).status_code == status
    refused = await both("GET", "/headers", headers=[*headers, ("X-Caller", "refused")])
    assert refused.status_code == 403
    marks = [value for name, value in headers if name.lower() == "x-mark"]
    needed = await both("GET", "/header-needed", headers=headers)
    assert needed.status_code == (200 if marks and marks[0] else 422)


@pytest.mark.parametrize(
    ("method", "path", "kind", "content", "status"),
    [
        ("POST", "/announce", "application/json", GOOD, 200),
        ("POST", "/announce", "application/json; charset=utf-8", GOOD, 200),
        ("POST", "/announce", "application/problem+json", GOOD, 200),
        ("POST", "/announce", "application/json", GOOD.decode().encode("utf-16"), 200),
        ("POST", "/announce", "text/plain", GOOD, 422),
        ("POST", "/announce", "application/json", GOOD.replace(b"5", b"-5"), 422),
        ("POST", "/announce", "application/json", b"", 422),
        ("POST", "/announce", "application/json", b"{", 400),
        ("POST", "/announce", "application/json; charset=utf-8", b"{", 400),
        ("POST", "/announce", "application/json", b"\xff", 400),
        ("POST", "/optional", "text/plain", b"{}", 422),
        ("GET", "/files/x/1", "", b"", 422),
        ("GET", "/query/1?limit=x", "", b"", 422),
        ("GET", "/query/1?tags=a", "", b"", 200),
        ("GET", "/query/x?limit=x", "", b"", 422),
        ("GET", "/narrowed?unknown=1", "", b"", 422),
    ],
)
async def test_dependencies_run_once(
    both: Both, method: str, path: str, kind: str, content: bytes, status: int
) -> None:
    answer = await both(method, path, headers={"Content-Type": kind}, content=content)
    assert answer.status_code == status
    assert both.apps[0].state.asked == 1


@pytest.mark.parametrize("started", [False, True])
async def test_dependencies_run_once_for_who_goes_away(both: Both, started: bool) -> None:
    app = both.apps[0]
    app.state.asked = 0
    messages = [{"type": "http.request", "body": b"{", "more_body": True}] * started
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    request = {"type": "http", "method": "POST", "path": "/announce", "query_string": b""}
    await app(request | {"headers": [(b"content-type", b"application/json")]}, receive, send)
    assert (sent[0]["status"], app.state.asked) == (400, 1)


async def test_a_request_counts_once(environ: dict[str, str]) -> None:
    limited = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_RATE_LIMIT": "100/hour"}
    settings = await prepared(environ | limited)
    announcement = b'{"destination": "files", "filename": "a", "size": 1}'
    left = 100
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *Scope))
        for kind, content, status in (
            ("application/json", announcement, 201),
            ("application/json; charset=utf-8", announcement, 201),
            ("application/json;charset=UTF-8", announcement, 201),
            ("application/vnd.api+json", announcement, 201),
            ("APPLICATION/JSON", announcement, 201),
            ("application/x-www-form-urlencoded", announcement, 422),
            ("application/json", b"[]", 422),
            ("application/json", b"{", 400),
            ("application/json", b"", 422),
        ):
            answer = await client.post(
                "/v1/uploads", content=content, headers={"Content-Type": kind}
            )
            left -= 1
            assert answer.status_code == status
            assert answer.headers["ratelimit"].startswith(f'"requests";r={left};')
        for path in (
            *("/v1/files/x", "/v1/files?limit=0", "/v1/files?unknown=1", "/v1/uploads/x/parts"),
            *(f"/v1/files/{SOME_ID}/content?disposition=x", "/v1/records/product"),
        ):
            answer = await client.get(path)
            left -= 1
            assert answer.status_code == 422
            assert answer.headers["ratelimit"].startswith(f'"requests";r={left};')


async def test_the_document_is_the_same(both: Both) -> None:
    await both("GET", "/openapi.json")


@pytest.fixture
def no_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def taken(**_: Any) -> None:
        raise AssertionError("FastAPI solves this route's dependencies")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", taken)


@pytest.mark.usefixtures("no_long_way")
async def test_the_hot_routes_take_the_short_way(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web)
    await announced(client, b"hello")
    batch = {"uploads": [{"destination": "files", "filename": "a", "size": 1}]}
    assert (await client.post("/v1/uploads/batch", json=batch)).status_code == 200
    wanted = {"ids": [file["id"]]}
    assert (await client.post("/v1/files/presign", json=wanted)).status_code == 200
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 200
    assert (await client.post(f"/v1/uploads/{file['id']}/confirm")).status_code == 200
    listed = await client.get("/v1/files?limit=5&destination=files&content_type=text/*")
    assert listed.status_code == 200
    for query in ("", "?disposition=attachment&filename=b.txt"):
        content = await client.get(f"/v1/files/{file['id']}/content{query}")
        assert content.status_code == 302
    assert (await client.get("/v1/files?limit=0")).status_code == 500


class _Text(BaseModel):
    text: str


@pytest.mark.parametrize(
    ("length", "order"), [(10, ["route", "other"]), (20_000, ["other", "route"])]
)
async def test_others_have_their_turn_behind_a_long_body(length: int, order: list[str]) -> None:
    seen: list[str] = []

    async def take(body: _Text) -> Response:
        seen.append("route")
        return Response(body.text)

    async def other() -> None:
        seen.append("other")

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps({"text": "a" * length}).encode()}

    async def send(_: Message) -> None:
        pass

    route = LeanRoute("/", take, methods=["POST"])
    route.prepare()
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    # It begins once this one lets others have their turn.
    task = asyncio.create_task(other())
    await route.answer(scope, receive, send)
    await task
    assert seen == order


def test_every_route_has_a_short_way(settings: Settings) -> None:
    routes = [route for route in create_app(settings).routes if isinstance(route, APIRoute)]
    assert len(routes) > 50
    assert [route.path for route in routes if not getattr(route, "is_lean", False)] == []


def test_no_dependency_stands_where_the_short_way_does_not_see_it(settings: Settings) -> None:
    app = create_app(settings)
    assert not app.router.dependencies
    for route in app.routes:
        included = getattr(route, "include_context", None)
        assert included is None or not included.dependencies
