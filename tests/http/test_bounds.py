"""Whatever a client may send has an end: every string, list and object of every request."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter

from app.main import create_app
from app.settings.model import load_settings
from tests.commands.steps import DEPLOYED

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
def app() -> FastAPI:
    records = {
        "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
        "CLAIMCHECK_SECRET_KEY": "0" * 32,
    }
    return create_app(load_settings(DEPLOYED | records))


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
