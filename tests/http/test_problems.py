"""Failures: every one a problem that says what to do, and none of them a 500."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.db import files as db_files
from app.settings.model import Settings, load_settings
from tests.support.service import UNKNOWN_ID, log_lines, prepared, running
from tests.support.steps import slug

ORIGIN = "https://www.example.com"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_CORS_ORIGINS": ORIGIN,
            "CLAIMCHECK_DESTINATIONS__FILES__MAX_SIZE": "1000",
            "CLAIMCHECK_DESTINATIONS__OPEN__ALLOW_CLIENT_KEYS": "true",
        }
    )


async def test_every_failure_has_the_members_of_a_problem(client: httpx.AsyncClient) -> None:
    broken = {"content": b"{", "headers": JSON}
    for status, name, method, path, arguments in (
        (404, "route-not-found", "GET", "/v2/files", {}),
        (404, "route-not-found", "GET", "/v1/files/", {}),
        (404, "route-not-found", "GET", "/static/nothing.js", {}),
        (405, "method-not-allowed", "PUT", "/v1/files", {}),
        (400, "malformed-request", "POST", "/v1/files", broken),
        (422, "validation-failed", "POST", "/v1/files", {"json": {}}),
        (422, "validation-failed", "GET", "/v1/files/not-an-id", {}),
        (
            422,
            "unknown-destination",
            "POST",
            "/v1/files",
            {"json": {"key": "a", "destination": "b"}},
        ),
        (404, "file-not-found", "GET", f"/v1/files/{UNKNOWN_ID}", {}),
        (413, "request-too-large", "POST", "/v1/files", {"content": b" " * 65_537}),
    ):
        response = await client.request(method, path, **arguments)
        assert (response.status_code, slug(response)) == (status, name), path
        problem = response.json()
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        assert problem["request_id"] == response.headers["x-request-id"]
        assert response.headers["cache-control"] == "no-store"


async def test_allow_lists_the_methods_of_a_path(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("/v1/uploads", "POST"),
        ("/v1/files", "GET, POST"),
        (f"/v1/files/{UNKNOWN_ID}", "GET, PATCH, DELETE"),
        (f"/v1/files/{UNKNOWN_ID}/content", "GET"),
        ("/livez", "GET"),
        ("/docs", "GET, HEAD"),
        ("/static/page.js", "GET, HEAD"),
    ):
        response = await client.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed), path


async def test_validation_names_the_field_and_not_its_value(client: httpx.AsyncClient) -> None:
    good = {"destination": "files", "filename": "a.png", "size": 1}
    for change, where in (
        ({"size": "hunter2"}, ["body", "size"]),
        ({"size": None}, ["body", "size"]),
        ({"filename": 5}, ["body", "filename"]),
        ({"checksum_sha256": "hunter2"}, ["body", "checksum_sha256"]),
        ({"content_type": ["hunter2"]}, ["body", "content_type"]),
        ({"owner": "hunter2"}, ["body", "owner"]),
    ):
        response = await client.post("/v1/uploads", json=good | change)
        assert slug(response) == "validation-failed"
        assert [error["loc"] for error in response.json()["errors"]] == [where]
        assert response.json()["detail"].startswith(".".join(where))
        assert "hunter2" not in response.text
    # In a batch each has its own answer, whatever is wrong with its neighbours.
    batch = [good, good | {"size": -1}, "hunter2", good | {"destination": "none"}, good]
    response = await client.post("/v1/uploads/batch", json={"uploads": batch})
    assert response.status_code == 200
    assert "hunter2" not in response.text
    first, second, third, fourth, last = response.json()["uploads"]
    assert first["state"] == last["state"] == "pending"
    assert [p["problem"]["type"].rpartition(":")[2] for p in (second, third, fourth)] == [
        *("validation-failed", "validation-failed", "unknown-destination")
    ]
    assert second["problem"]["errors"][0]["loc"] == ["size"]


async def test_a_body_full_of_errors_has_a_short_answer(client: httpx.AsyncClient) -> None:
    for fields, least in ((100, 2), (3000, 1)):
        body = {f"field {n}": n for n in range(fields)}
        response = await client.post("/v1/uploads", json=body)
        assert slug(response) == "validation-failed"
        assert least <= len(response.json()["errors"]) <= 20


async def test_what_is_not_json_is_told_to_be(client: httpx.AsyncClient) -> None:
    body = b'{"url": "http://127.0.0.1/a/b"}'
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "x"}):
        response = await client.post("/v1/files", content=body, headers=headers)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), headers
        assert "Content-Type: application/json" in response.json()["detail"]
    for broken in (b"", b"null", b"[]", b'"text"', b"7"):
        response = await client.post("/v1/files", content=broken, headers=JSON)
        assert slug(response) == "validation-failed", broken
    for broken in (b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 20_000, b"9" * 5000, b"\0"):
        response = await client.post("/v1/files", content=broken, headers=JSON)
        assert (response.status_code, slug(response)) == (400, "malformed-request"), broken[:9]


async def test_an_unexpected_failure_leaks_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(db_files, "get_file", broken)
    headers = {"Origin": ORIGIN, "X-Request-ID": "my-id"}
    async with running(settings) as client:
        with caplog.at_level(logging.INFO):
            response = await client.get(f"/v1/files/{UNKNOWN_ID}", headers=headers)
    assert (response.status_code, slug(response)) == (500, "internal-error")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert response.json()["request_id"] == response.headers["x-request-id"] == "my-id"
    assert "my-id" in response.json()["detail"]
    # With these the browser lets its page read the answer.
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-content-type-options"] == "nosniff"
    [line] = log_lines(caplog, "errors")
    assert (line["event"], line["request_id"]) == ("unexpected_failure", "my-id")
    assert line["exception"].startswith("Traceback")
    assert "hunter2" in line["exception"]


async def test_without_credentials_nothing_is_signed(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environ[name]
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    one = {"destination": "files", "filename": "a.png", "size": 1}
    async with running(load_settings(environ)) as client:
        for path, body in (("/v1/uploads", one), ("/v1/uploads/batch", {"uploads": [one]})):
            response = await client.post(path, json=body)
            assert (response.status_code, slug(response)) == (503, "signing-unavailable")
            assert int(response.headers["retry-after"]) > 0
        assert (await client.get("/v1/files")).json()["items"] == []


ODD: tuple[Any, ...] = (
    "\0",
    "\ud800",
    "a\udfffb.png",
    "\r\n",
    "x" * 5000,
    "",
    10**30,
    -(10**30),
    1e308,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    {},
)
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/uploads": {
        "destination": "files",
        "filename": "a.png",
        "content_type": "image/png",
        "size": 1,
        "checksum_sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    },
    "/v1/files": {"key": "files/a.png", "destination": "files"},
    "/v1/files?": {"url": "http://127.0.0.1/bucket/files/a.png"},
    "/v1/upload-url": {"object_key": "open/a.png"},
    "/v1/files/presign": {"ids": [UNKNOWN_ID]},
    "/v1/files/presign?": {"urls": ["http://127.0.0.1/bucket/files/a.png"]},
}


async def test_odd_values_anywhere_are_no_500(client: httpx.AsyncClient) -> None:
    for path, good in ROUTES.items():
        for field, value in good.items():
            for odd in ODD:
                odd_value = [odd] if isinstance(value, list) else odd
                body = json.dumps(good | {field: odd_value})
                response = await client.post(path, content=body, headers=JSON)
                assert response.status_code < 500, (path, field, odd, response.text)
                if response.status_code >= 400:
                    slug(response)


text = st.text(st.characters(), max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    """A POST route and a body: anything at all, or a good one with some fields changed."""
    path = draw(st.sampled_from([*ROUTES, "/v1/uploads/batch"]))
    good = ROUTES.get(path, ROUTES["/v1/uploads"])
    changed = st.fixed_dictionaries(
        {}, optional={name: st.just(value) | text | values for name, value in good.items()}
    )
    body = draw(changed.map(lambda change: good | change) | changed | values)
    if path == "/v1/uploads/batch":
        body = draw(st.just({"uploads": [body, good]}) | st.just(body))
    return path, body


@hypothesis_settings(
    max_examples=250,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=requests())
async def test_no_body_is_a_500(client: httpx.AsyncClient, request: tuple[str, Any]) -> None:
    path, body = request
    response = await client.post(path, content=json.dumps(body), headers=JSON)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.json()["status"] == response.status_code
        slug(response)
