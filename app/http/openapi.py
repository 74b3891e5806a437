"""The OpenAPI document as makers of clients read it, where FastAPI's own differs."""

from collections.abc import Iterator
from typing import Any, Final

# Relative to the document (OpenAPI 3.1 section 4.8.5): the service does not know its own address.
SERVERS: Final = [{"url": "/", "description": "The service that this document came from"}]
TAGS: Final = [
    {"name": "uploads", "description": "Announce, send, confirm and cancel uploads"},
    {"name": "files", "description": "Keep, list, read and delete files"},
    {"name": "records", "description": "Files in the fields of other systems' records"},
    {"name": "events", "description": "What has become of files and records"},
    {"name": "usage", "description": "What is used, and what may be"},
    {"name": "requests", "description": "Links through which people without an account send files"},
    {"name": "credentials", "description": "Upload sessions for browsers, keys for back ends"},
    {"name": "service", "description": "The service itself, and its stores"},
]


def amend(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with what FastAPI leaves out of it or makes of it.

    A public operation says that it needs no security, and a body that may be left out is not
    described as one that may be null: makers of clients would send one. Examples have their nulls
    back, without which they lack members that are required.
    """
    for operation in _operations(document):
        operation.setdefault("security", [])
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["schema"] = _without_null(content["schema"])
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        if "example" in schema:
            schema["example"] = _with_nulls(schema["example"], schema, schemas)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _with_nulls(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """The example with null for each required member that it lacks, at every depth."""
    for kind in _kinds(schema, schemas):
        if isinstance(example, list) and "items" in kind:
            return [_with_nulls(each, kind["items"], schemas) for each in example]
        values = kind.get("additionalProperties")
        if isinstance(example, dict) and isinstance(values, dict):
            return {name: _with_nulls(each, values, schemas) for name, each in example.items()}
        members = kind.get("properties", {})
        if isinstance(example, dict) and example.keys() <= members.keys():
            found = {name: _with_nulls(example[name], members[name], schemas) for name in example}
            return dict.fromkeys(kind.get("required", ())) | found
    return example


def _kinds(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, or those of which it is any, without references."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for kind in schema.get("anyOf", [schema]):
        yield from [kind] if kind is schema else _kinds(kind, schemas)
