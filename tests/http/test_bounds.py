"""Whatever a client may send has an end: every string, list and object of every request."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter

from app.main import create_app
from app.settings.model import Settings, load_settings
from tests.support.service import UNKNOWN_ID, prepared
from tests.support.steps import slug

JSON = {"Content-Type": "application/json"}
# Formats that are parsed to a value of fixed size, at once.
FIXED = {"uuid", "date-time"}


def asked_of(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Every parameter and body that a route asks for, its dependencies too: name and hint."""
    for kind in ("path", "query", "header", "cookie", "body"):
        for parameter in getattr(dependant, f"{kind}_params"):
            info = parameter.field_info
            hint = Annotated[info.annotation, info] if info.metadata else info.annotation
            yield f"{kind}.{parameter.alias}", hint
    for dependency in dependant.dependencies:
        yield from asked_of(dependency)


def unbounded(schema: dict[str, Any], where: str, within: dict[str, Any]) -> Iterator[str]:
    """The places in a JSON schema where a value may be of any size."""
    if "$ref" in schema:
        yield from unbounded(within[schema["$ref"].rpartition("/")[2]], where, within)
    for some in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(some, ()):
            yield from unbounded(one, where, within)
    known = {"$ref", "anyOf", "oneOf", "allOf", "type", "enum", "const"}
    if not known & schema.keys():
        yield f"{where}: anything"
    if {"enum", "const"} & schema.keys():
        return
    kind = schema.get("type")
    if kind == "string" and "maxLength" not in schema and schema.get("format") not in FIXED:
        yield f"{where}: a string"
    if kind == "array":
        if "maxItems" not in schema:
            yield f"{where}: a list"
        yield from unbounded(schema.get("items", {}), f"{where}[]", within)
    if kind == "object":
        for name, one in schema.get("properties", {}).items():
            yield from unbounded(one, f"{where}.{name}", within)
        more = schema.get("additionalProperties", True)
        if isinstance(more, dict) or "properties" not in schema:
            if "maxProperties" not in schema:
                yield f"{where}: an object"
            if isinstance(more, dict):
                yield from unbounded(more, f"{where}.*", within)


def found_in(hint: Any, where: str) -> list[str]:
    schema = TypeAdapter(hint).json_schema(mode="validation")
    return list(unbounded(schema, where, schema.get("$defs", {})))


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ)


@pytest.fixture
def app(environ: dict[str, str]) -> FastAPI:
    records = {
        "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
        "CLAIMCHECK_SECRET_KEY": "0" * 32,
    }
    return create_app(load_settings(environ | records))


def test_every_request_has_bounds(app: FastAPI) -> None:
    found: list[str] = []
    seen = 0
    for context in iter_route_contexts(app.router.routes):
        if isinstance(context.route, APIRoute):
            for name, hint in asked_of(context.route.dependant):
                seen += 1
                found += found_in(hint, f"{context.path} {name}")
    assert found == []
    assert seen > 60


class Loose(BaseModel):
    text: str
    items: list[int]
    names: dict[str, int]
    anything: Any


def test_what_has_none_is_found() -> None:
    found = found_in(Loose, "here")
    assert [one.partition(": ")[2] for one in found] == [
        *("a string", "a list", "an object", "anything")
    ]
    assert found_in(Any, "here") == ["here: anything"]
    assert json.dumps(found)


async def refused(client: httpx.AsyncClient, path: str, **more: Any) -> tuple[int, str]:
    answer = await client.request("POST" if "content" in more else "GET", path, **more)
    return answer.status_code, slug(answer)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/" + "a" * 2047, 404),
        ("/" + "a" * 2048, 414),
        ("/static/" + "a/" * 2000, 414),
        ("/v1/files?" + "a=&" * 98 + "a", 422),
        ("/v1/files?" + "a=&" * 100, 414),
        ("/v1/files?a=" + "a" * 16_382, 422),
        ("/v1/files?a=" + "a" * 16_383, 414),
    ],
)
async def test_addresses(client: httpx.AsyncClient, path: str, status: int) -> None:
    found, problem = await refused(client, path)
    assert found == status
    assert (problem == "address-too-long") is (status == 414)


@pytest.mark.parametrize(
    ("name", "most"),
    [("Content-Type", 1024), ("Range", 1024), ("If-None-Match", 4096), ("Cookie", 16_384)],
)
async def test_headers_that_are_slow_to_read(
    client: httpx.AsyncClient, name: str, most: int
) -> None:
    """Python's reader of `Content-Type` takes 3 s for 64 KiB of `;`, that of cookies as long."""
    for size, status in ((most, 200), (most + 1, 431)):
        answer = await client.get("/livez", headers={name: ";" * size})
        assert answer.status_code == status
    assert slug(answer) == "headers-too-large"
    assert answer.json()["limit"] == most


async def test_bodies_of_many_pieces(client: httpx.AsyncClient) -> None:
    """Parsed, two megabytes of empty lists take a hundred."""
    door = f"/uppy/s3/multipart/{UNKNOWN_ID}/complete"
    parts = [
        {"PartNumber": n, "ETag": '"9b2cf535f27731c974343645a3985328"'} for n in range(1, 10_001)
    ]
    for body, status in (
        (json.dumps({"parts": parts}), 404),
        ('{"parts": [' + "[]," * 20_000 + "1]}", 413),
        ('{"parts": [' + '"",' * 200_000 + "1]}", 413),
    ):
        found, _ = await refused(client, door, content=body, headers=JSON)
        assert found == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/uploads", {"destination": "files", "size": 1}),
        ("/uppy/s3/multipart", {"metadata": {"destination": "files"}}),
    ],
)
async def test_names(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    for name, expected in (
        ("a" + "\u0301\u0316" * 2047, (422, "invalid-filename")),
        ("a" + "\u0301\u0316" * 2048, (422, "validation-failed")),
    ):
        content = json.dumps(body | {"filename": name})
        assert await refused(client, path, content=content, headers=JSON) == expected
