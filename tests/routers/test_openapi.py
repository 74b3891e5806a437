"""The API's own description, and a service that refuses to start half configured."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi.openapi.models import OpenAPI

from app.errors import Problem
from tests.support.service import UNKNOWN_ID
from tests.support.steps import slug

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    return (await client.get("/openapi.json")).json()


def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1.")
    for node in nodes(document):
        reference = node.get("$ref")
        if reference is None:
            continue
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in target, reference
            target = target[part]
    for _, path, operation in operations(document):
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_it_describes_every_route_of_the_api(document: dict[str, Any]) -> None:
    assert {(method.upper(), path) for method, path, _ in operations(document)} == {
        ("POST", "/v1/uploads"),
        ("POST", "/v1/uploads/batch"),
        ("GET", "/v1/uploads/{upload_id}"),
        ("POST", "/v1/uploads/{upload_id}/renew"),
        ("POST", "/v1/uploads/{upload_id}/confirm"),
        ("DELETE", "/v1/uploads/{upload_id}"),
        ("POST", "/v1/uploads/{upload_id}/parts"),
        ("GET", "/v1/uploads/{upload_id}/parts"),
        ("POST", "/v1/upload-url"),
        ("POST", "/v1/files"),
        ("PUT", "/v1/files/{file_id}/scan"),
        ("GET", "/v1/files"),
        ("POST", "/v1/files/presign"),
        ("GET", "/v1/files/{file_id}"),
        ("GET", "/v1/files/{file_id}/content"),
        ("DELETE", "/v1/files/{file_id}"),
        ("PATCH", "/v1/files/{file_id}"),
        ("PUT", "/v1/files/{file_id}/scan"),
        ("PUT", "/v1/records/{record_type}/{record_id}/{field}"),
        ("GET", "/v1/records/{record_type}/{record_id}"),
        ("GET", "/v1/records/{record_type}"),
        ("DELETE", "/v1/records/{record_type}/{record_id}/{field}"),
        ("DELETE", "/v1/records/{record_type}/{record_id}"),
        ("GET", "/v1/events"),
        ("GET", "/v1/capabilities"),
        ("POST", "/v1/requests"),
        ("GET", "/v1/requests"),
        ("GET", "/v1/requests/open"),
        ("POST", "/v1/requests/open"),
        ("PATCH", "/v1/requests/open"),
        ("GET", "/v1/requests/{request_id}"),
        ("GET", "/v1/requests/{request_id}/files"),
        ("DELETE", "/v1/requests/{request_id}"),
        ("POST", "/v1/upload-sessions"),
        ("GET", "/v1/upload-sessions"),
        ("GET", "/v1/upload-sessions/{session_id}"),
        ("DELETE", "/v1/upload-sessions/{session_id}"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/quotas"),
        ("PUT", "/v1/quotas"),
        ("DELETE", "/v1/quotas"),
        ("POST", "/v1/api-keys"),
        ("GET", "/v1/api-keys"),
        ("DELETE", "/v1/api-keys/{key_id}"),
        ("POST", "/v1/webhooks"),
        ("GET", "/v1/webhooks"),
        ("GET", "/v1/webhooks/{webhook_id}"),
        ("PATCH", "/v1/webhooks/{webhook_id}"),
        ("DELETE", "/v1/webhooks/{webhook_id}"),
        ("POST", "/v1/webhooks/{webhook_id}/rotate-secret"),
        ("POST", "/v1/webhooks/{webhook_id}/test"),
        ("POST", "/v1/webhooks/{webhook_id}/resend"),
        ("GET", "/v1/webhooks/{webhook_id}/deliveries"),
        ("GET", "/v1/destinations"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
    }


TWO_WAYS = {
    ("post", "/v1/uploads"): {"200", "201"},  # the bytes are there already
    ("post", "/v1/uploads/{upload_id}/confirm"): {"200", "202"},  # parts are being joined
    ("post", "/v1/files"): {"200", "202"},
    ("get", "/v1/files/{file_id}/content"): {"200", "302"},  # a link for scripts
    ("delete", "/v1/api-keys/{key_id}"): {"200", "204"},  # it had made others
}


def test_every_operation_says_what_it_is_and_how_it_fails(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    known = {problem.slug(): problem.status for problem in Problem.__subclasses__()}
    for method, path, operation in operations(document):
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        succeeds = {status for status in operation["responses"] if status < "400"}
        assert len(succeeds) == 1 or succeeds == TWO_WAYS.get((method, path)), path
        slugs = set()
        for status, response in operation["responses"].items():
            if status < "400" or (path, status) == ("/readyz", "503"):
                continue
            # FastAPI's own validation error, which is never sent, is not described.
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ProblemBody"}, (path, status)
            assert list(response["content"]) == ["application/problem+json"]
            for name in re.findall(r"^`([a-z-]+)`: ", response["description"], re.MULTILINE):
                assert known[name] == int(status), (path, name)
                slugs.add(name)
        assert {"validation-failed", "internal-error"} <= slugs, (method, path)
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_example_bodies_fit(document: dict[str, Any], client: httpx.AsyncClient) -> None:
    seen = 0
    for method, path, operation in operations(document):
        if "requestBody" not in operation:
            continue
        [media_type] = operation["requestBody"]["content"]
        assert media_type == "application/json"
        body = operation["requestBody"]["content"][media_type]["schema"]
        schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        path = re.sub(r"{\w+}", UNKNOWN_ID, path)
        response = await client.request(method, path, json=schema["example"])
        if response.status_code >= 400:
            # Right in form; there is no such file, or no such destination here.
            assert slug(response) in {
                "file-not-found",
                "file-request-not-found",
                "url-not-ours",
                "client-keys-not-allowed",
                "upload-not-found",
                "unknown-record-field",
                "webhook-not-found",
                "quotas-not-kept",
            }
        seen += 1
    assert seen == 20
    file = document["components"]["schemas"]["FileBody"]
    assert set(file["example"]) == set(file["required"])


def test_makers_of_clients_can_read_it(document: dict[str, Any]) -> None:
    assert document["servers"][0]["url"] == "/"
    named = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert set(operation["tags"]) <= named
        # Without a word they would take the document's default, and some linters an oversight.
        assert (operation["security"] == []) == (path in {"/livez", "/readyz"}), path
        if "requestBody" in operation:
            # A body that may be null would be sent as null, or as nothing that is JSON.
            [content] = operation["requestBody"]["content"].values()
            assert "$ref" in content["schema"], path
    for name, schema in document["components"]["schemas"].items():
        assert schema["title"] == name
        if "example" in schema:
            # With what is in it, to the last null, as linters ask.
            reference = {"$ref": f"#/components/schemas/{name}"}
            jsonschema_rs.validate(
                reference | {"components": document["components"]}, schema["example"]
            )
        for member, kind in schema.get("properties", {}).items():
            assert kind.get("type") != "null", (name, member)  # openapi-fetch drops it
            assert "const" not in kind or member in schema["required"], (name, member)


async def test_failures_are_among_those_described(
    document: dict[str, Any], client: httpx.AsyncClient
) -> None:
    for method, path, operation in operations(document):
        body = {} if "requestBody" in operation else None
        response = await client.request(method, re.sub(r"{\w+}", UNKNOWN_ID, path), json=body)
        if response.status_code >= 400:
            described = operation["responses"][str(response.status_code)]["description"]
            assert f"`{slug(response)}`" in described, path


def start(environ: dict[str, str]) -> tuple[int, str]:
    """Run as a deployment does, with this environment alone; the exit status and the output."""
    result = subprocess.run(
        [sys.executable, "-c", "from app.main import create_app; create_app()"],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=180,
    )
    return result.returncode, result.stderr


def test_it_refuses_to_start_until_it_is_told(environ: dict[str, str]) -> None:
    status, words = start({})
    assert status == 1
    assert [line.partition(" is ")[0].partition(" have ")[0] for line in words.splitlines()] == [
        "claimcheck cannot start:",
        "  DATABASE_URL",
        "  destinations.images, destinations.videos and destinations.files",
        "  CLAIMCHECK_AUTH",
    ]

    closed = {name: value for name, value in environ.items() if name != "CLAIMCHECK_AUTH"}
    status, words = start(closed)
    assert (status, words.count("\n")) == (1, 1)
    assert words.startswith("claimcheck cannot start: CLAIMCHECK_AUTH is not set")
    assert "claimcheck keys create" in words
    status, words = start(environ)
    assert (status, words.count("\n")) == (1, 1)
    assert words.startswith(
        "claimcheck cannot start: CLAIMCHECK_AUTH is none, which `claimcheck dev` alone"
    )

    assert start(environ | {"CLAIMCHECK_AUTH": "keys"}) == (0, "")
