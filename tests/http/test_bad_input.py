"""Bad input over HTTP: each a problem that says what to do, and never a 500."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.http.problems import FORMS
from app.settings.model import Settings
from tests.support.service import prepared
from tests.support.steps import slug

GOOD: dict[str, Any] = {"destination": "files", "filename": "a.png", "size": 1}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ)


async def announce(client: httpx.AsyncClient, **change: Any) -> httpx.Response:
    # ASCII JSON, so that lone surrogates can be sent.
    body = json.dumps(GOOD | change)
    return await client.post("/v1/uploads", content=body, headers=JSON)


NAMES = (
    ("image.png", "--image.png"),
    ("FILE with SPACEs.PNG", "--file-with-spaces.png"),
    ("archive.tar.gz", "--archive-tar.gz"),
    ("photo", "--photo"),
    (".htaccess", "--htaccess"),
    ("日本語.png", "--ri-ben-yu.png"),
    ("😀.png", "--file.png"),
    ("../../etc/passwd", "--passwd"),
    ("C:\\tmp\\a.png", "--a.png"),
    ("a.png. ", "--a.png"),
    ("report.final version", "--report-final-version"),
    ("a${filename}.png", "--a-filename.png"),
    ("a$$b.png", "--a-b.png"),
    ("a\u202egnp.exe", "--agnp.exe"),
    ("a\u200b\ufeffb.png", "--ab.png"),
    ("e\u0301t\u00e9.png", "--ete.png"),
    ("x" * 251 + ".png", "--" + "x" * 200 + ".png"),
)


async def test_the_normalisers_table(client: httpx.AsyncClient) -> None:
    for name, ending in NAMES:
        response = await announce(client, filename=name)
        assert response.status_code == 201, (name, response.text)
        key = response.json()["key"]
        pattern = r"files/\d\d-\d\d-\d{4}_\d\d-\d\d-\d\d-\d{6}" + re.escape(ending)
        assert re.fullmatch(pattern, key), key
        assert "$" not in key
        assert "\u202e" not in response.json()["filename"]


async def test_names_that_no_key_can_be_made_of(client: httpx.AsyncClient) -> None:
    for name in (
        "a\0.png",
        "a\x1f.png",
        "a\x7f.png",
        "a\x85.png",
        "",
        ".",
        "..",
        " . ",
        "dir/",
        "\u200b",
        "x" * 252 + ".png",
        "é" * 256,
    ):
        response = await announce(client, filename=name)
        assert (response.status_code, slug(response)) == (422, "invalid-filename"), repr(name)
        assert "file name" in response.json()["detail"]
    for name in ("\ud800", "a\udfff.png", "x" * 4097, 5, None, ["a.png"], {"a": 1}):
        response = await announce(client, filename=name)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), repr(name)
        assert response.json()["errors"][0]["loc"] == ["body", "filename"]


async def test_sizes(client: httpx.AsyncClient) -> None:
    no_numbers = ("1", "", True, None, [], float("nan"), float("inf"))
    # No JSON number beyond 2^53 - 1 says surely which it is.
    for size in (-1, -(10**30), 2**53, 10**30, 10**4000, 1.5, 1.0, *no_numbers):
        response = await announce(client, size=size)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), size
        assert response.json()["errors"][0]["loc"] == ["body", "size"]
    for size in (5 * 1024**3 + 1, 2**53 - 1):
        response = await announce(client, size=size)
        assert (response.status_code, slug(response)) == (422, "size-not-allowed"), size
        assert response.json()["max_size"] == 5 * 1024**3
    for size in (0, 5 * 1024**3):
        assert (await announce(client, size=size)).status_code == 201


async def test_content_types(client: httpx.AsyncClient) -> None:
    for content_type in ("\ud800/png", "x" * 1001, 5, []):
        response = await announce(client, content_type=content_type)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), content_type
        assert response.json()["errors"][0]["loc"] == ["body", "content_type"]
    response = await announce(client, destination="images", content_type="text/html")
    assert slug(response) == "content-type-not-allowed"
    for content_type in ("image/svg+xml", "text/plain; charset=utf-8", "x-a/x.b_c", None):
        response = await announce(client, content_type=content_type)
        assert response.status_code == 201, content_type


async def test_what_is_no_content_type_is_left_to_the_extension(client: httpx.AsyncClient) -> None:
    for content_type in (
        *("", "image", "/", "image/", "/png", "image/png\r\nx-amz-acl: public-read", "*/*"),
        *("image/${filename}", "image/png,text/html", "im age/png", "図/png", "image/\0"),
        "a/" + "b" * 300,
    ):
        response = await announce(client, filename="a.webp", content_type=content_type)
        assert response.status_code == 201, content_type
        assert response.json()["content_type"] == "image/webp"
        assert response.json()["upload"]["fields"]["content-type"] == "image/webp"
    said = "video/webm;codecs=vp8,opus"
    response = await announce(client, destination="videos", filename="a.webm", content_type=said)
    assert response.json()["upload"]["fields"]["content-type"] == "video/webm"


async def test_checksums(client: httpx.AsyncClient) -> None:
    for checksum in ("", "abc", "=" * 44, "é" * 44, "A" * 44, "A" * 42 + "B=", "A" * 43 + "=\n", 1):
        response = await announce(client, checksum_sha256=checksum)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), checksum
        assert response.json()["errors"][0]["loc"] == ["body", "checksum_sha256"]
    assert (await announce(client, checksum_sha256="A" * 43 + "=")).status_code == 201


async def test_checksums_in_hexadecimal_are_told_to_be_in_base64(client: httpx.AsyncClient) -> None:
    for name, digits, words in (("sha256", 64, "SHA-256"), ("md5", 32, "MD5")):
        response = await announce(client, **{f"checksum_{name}": "0" * digits})
        assert response.status_code == 422
        detail = response.json()["detail"]
        assert detail.startswith(f"body.checksum_{name}: write the {words} in Base64: ")
        assert detail.endswith(f"not {digits} in hexadecimal.")


def _with_patterns(schema: Any, name: str = "") -> Iterator[str]:
    """The names of parameters and properties that have a pattern."""
    if isinstance(schema, list):
        for one in schema:
            yield from _with_patterns(one, name)
    elif isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield name
        for word, inner in schema.items():
            if word == "properties":
                for of, property_ in inner.items():
                    yield from _with_patterns(property_, of)
            else:
                yield from _with_patterns(inner, str(schema.get("name", name)))


async def test_every_field_with_a_pattern_says_its_form_in_words(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    names = set(_with_patterns(document))
    assert {"after", "checksum_md5", "checksums_md5", "key", "record_id"} <= names <= set(FORMS)


async def test_a_pattern_is_no_answer(client: httpx.AsyncClient) -> None:
    upload = f"/uppy/s3/multipart/{UUID(int=7)}/batch"
    for path, name, wrong in (
        ("/v1/events", "after", "yesterday"),
        ("/v1/files", "content_type", "image"),
        ("/v1/files", "destination", "a b"),
        (upload, "partNumbers", "1;2"),
    ):
        response = await client.get(path, params={name: wrong})
        assert response.status_code == 422
        assert response.json()["detail"] == f"query.{name}: {FORMS[name]}."
    response = await client.get("/v1/records/product/a,b")
    assert response.json()["detail"] == f"path.record_id: {FORMS['record_id']}."
    # A length needs no words of its own.
    response = await client.get("/v1/events", params={"after": "1" * 19})
    assert "18 characters" in response.json()["detail"]


async def test_unknown_destinations(client: httpx.AsyncClient) -> None:
    for name in ("nowhere", "Files", "files ", "files\0", "../files", "<script>"):
        response = await announce(client, destination=name)
        assert (response.status_code, slug(response)) == (422, "unknown-destination"), name
        assert response.json()["detail"].endswith("there are: files, images, videos.")
    for name in ("", "x" * 101, "\ud800", None, 1):
        response = await announce(client, destination=name)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), name


async def test_json_that_is_none(client: httpx.AsyncClient) -> None:
    good = json.dumps(GOOD).encode()
    for body in (b"{", good[:-1], good + b"}", b"{'size': 1}", b"\xff" + good, b"\xc3\x28", b"nul"):
        response = await client.post("/v1/uploads", content=body, headers=JSON)
        assert (response.status_code, slug(response)) == (400, "malformed-request"), body
        assert "JSON" in response.json()["detail"]
    for body in (b"[]", b"null", b"1", b'"a"', b"{}", b""):
        response = await client.post("/v1/uploads", content=body, headers=JSON)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), body


async def test_a_10_mb_body(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    for content in (b"x" * 10 * 1024**2, chunks()):
        response = await client.post("/v1/uploads", content=content, headers=JSON)
        assert (response.status_code, slug(response)) == (413, "request-too-large")
        assert "files go to the bucket" in response.json()["detail"]
    file = {"file": ("a.png", b"x" * 1000, "image/png")}
    response = await client.post("/v1/uploads", files=file)
    assert (response.status_code, slug(response)) == (422, "validation-failed")


async def test_ids_that_are_none(client: httpx.AsyncClient) -> None:
    for text in ("1", "x", "%00", "..%2f..", "019ac8a0", "é", "null", "%ff"):
        for method, path in (
            ("GET", f"/v1/uploads/{text}"),
            ("DELETE", f"/v1/uploads/{text}"),
            ("POST", f"/v1/uploads/{text}/confirm"),
            ("POST", f"/v1/uploads/{text}/renew"),
            ("GET", f"/v1/files/{text}"),
            ("GET", f"/v1/files/{text}/content"),
            ("DELETE", f"/v1/files/{text}"),
        ):
            response = await client.request(method, path)
            assert slug(response) in {"validation-failed", "route-not-found"}, path
            assert response.status_code in {404, 405, 422}


async def test_references_that_are_half_or_double(client: httpx.AsyncClient) -> None:
    for body in (
        {},
        {"key": "files/a"},
        {"destination": "files"},
        {"url": "http://127.0.0.1/a/b", "key": "files/a", "destination": "files"},
        {"url": "http://127.0.0.1/a/b", "destination": ""},
        {"url": None, "key": None},
        {"key": "", "destination": "files"},
        {"key": "a\0b", "destination": "files"},
        {"key": "a\nb", "destination": "files"},
        {"key": "x" * 1025, "destination": "files"},
        {"url": "x" * 8193},
        {"url": 5},
    ):
        response = await client.post("/v1/files", json=body)
        assert (response.status_code, slug(response)) == (422, "validation-failed"), body
