"""Headers that `pages()` sends with the pages and their files; needs no browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from app.routers.pages import STATIC, pages

BUCKET = "https://uploads.s3.eu-central-1.amazonaws.com"


@asynccontextmanager
async def serving(*, panel: bool) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(pages([BUCKET], panel=panel))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with serving(panel=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/r", "text/html; charset=utf-8"),
        ("/static/page.js", "text/javascript; charset=utf-8"),
        ("/static/uploader.js", "text/javascript; charset=utf-8"),
        ("/static/uploader.d.ts", "text/plain; charset=utf-8"),
        ("/static/claimcheck-uploader-0.1.0.tgz", "application/gzip"),
        ("/static/page.css", "text/css; charset=utf-8"),
        ("/static/tokens.css", "text/css; charset=utf-8"),
        ("/static/favicon.svg", "image/svg+xml"),
        ("/static/swagger/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_each_file_has_its_type_and_the_security_headers(
    client: httpx.AsyncClient, path: str, content_type: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == (
        "default-src 'self'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob: {BUCKET}; connect-src 'self' {BUCKET}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("panel", [True, False])
async def test_the_first_page_leads_to_the_panel_where_there_is_one(panel: bool) -> None:
    async with serving(panel=panel) as client:
        answer = await client.get("/")
        assert ('href="admin/"' in answer.text) is panel
        assert 'href="docs"' in answer.text
        head = await client.head("/")
        assert head.headers["content-length"] == str(len(answer.content))


[PACKAGE] = [path.name for path in STATIC.glob("*.tgz")]
SCRIPTS = ["uploader.js", "upload-field.js", "words.js", "md5.js", "md5-worker.js"]
SHARED = [*SCRIPTS, "uploader.d.ts", "problems.d.ts", PACKAGE]


@pytest.mark.parametrize("name", SHARED)
async def test_pages_of_other_origins_may_import_the_uploader_and_the_field(
    client: httpx.AsyncClient, name: str
) -> None:
    path = f"/static/{name}"
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    for answer in (first, again):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_no_script_but_the_worker_of_hashes_runs_webassembly(
    client: httpx.AsyncClient,
) -> None:
    found = {}
    for name in SCRIPTS:
        policy = (await client.get(f"/static/{name}")).headers["content-security-policy"]
        found[name] = "wasm-unsafe-eval" in policy
    assert found == {name: name == "md5-worker.js" for name in SCRIPTS}


async def test_and_nothing_else(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/static/page.js", "/static/page.css"):
        answer = await client.get(path)
        assert "access-control-allow-origin" not in answer.headers
        assert "cross-origin-resource-policy" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.js"])
async def test_an_unchanged_file_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    changed = await client.get(path, headers={"If-None-Match": '"another"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/",
        "/static/swagger/",
        "/static/..%2f__init__.py",
        "/static/%2e%2e/errors.py",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_the_pages_are_not_in_the_specification(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json()["paths"] == {}


async def test_no_page_has_an_inline_script_or_style(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs"):
        html = (await client.get(path)).text
        assert "<script>" not in html
        assert "<style" not in html
        assert " style=" not in html
        assert "://" not in html  # everything comes from here


@pytest.mark.parametrize(
    "origin",
    [
        "https://bucket.example/path",
        "https://bucket.example; script-src *",
        "https://bucket.example *",
        "bucket.example",
        "*",
        "",
    ],
)
def test_what_is_not_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="a bucket origin is"):
        pages([origin], panel=False)


async def test_the_apis_description_is_made_once(client: httpx.AsyncClient) -> None:
    first = await client.get("/openapi.json")
    assert first.headers["cache-control"] == "no-cache"
    assert first.json()["openapi"].startswith("3.")
    again = await client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (await client.get("/openapi.json")).content == first.content
