"""Requests that only a hand-written client sends, and the gate's own answers."""

from __future__ import annotations

import io
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from app.embedded.gate import Gate
from app.embedded.gate_keys import Keys
from app.embedded.gate_request import BodyStream, S3Request
from tests.embedded.steps import Store, new_key, refused, send


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/gate-plain/%ff", "InvalidURI"),
        ("/gate-plain/ok?x=%ff", "InvalidURI"),
        ("/Gate_Plain/ok", "InvalidBucketName"),
        ("/" + "gate-plain/" + "k" * 1025, "KeyTooLongError"),
    ],
)
def test_targets_that_name_no_object(embedded: Store, target: str, code: str) -> None:
    refused(send("GET", embedded.endpoint_url + target), 400, code)


def test_header_bytes_are_utf8_or_latin1(embedded: Store) -> None:
    # RGW 16.2 takes UTF-8 alone.
    disposition = 'attachment; filename="é.png"'
    for encoding in ("utf-8", "latin-1"):
        key = new_key()
        url = embedded.presign("put_object", Key=key, ContentDisposition=disposition)
        sent: Any = {"Content-Disposition": disposition.encode(encoding)}
        assert send("PUT", url, b"x", sent).status == 200
        stored = send("GET", embedded.presign("get_object", Key=key)).headers
        assert stored["Content-Disposition"].encode("latin-1").decode() == disposition


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: ten"], 400),
        (["Content-Length: 1", "Content-Length: 2"], 400),
        (["Host: elsewhere", "Content-Length: 1"], 400),
        (["Content-Length: 10", "x-amz-meta-id: a,b"], 400),
        (["Content-Length: 1", "x-amz-meta-id: a"], 403),
        (["Content-Length: 1", "x-amz-meta-id: a", "x-amz-meta-id: b"], 200),
    ],
    ids=str,
)
def test_raw_heads(embedded: Store, lines: list[str], status: int) -> None:
    # RGW closes the connection on most.
    parts = urlsplit(embedded.presign("put_object", Key=new_key(), Metadata={"id": "a,b"}))
    head = [f"PUT {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", *lines]
    with socket.create_connection(
        (parts.hostname or "", parts.port or 0), timeout=10
    ) as connection:
        connection.sendall("\r\n".join([*head, "", "x"]).encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile().readline().split()[1] == str(status)


def test_a_failure_of_moto_is_an_s3_error(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(Keys("a" * 20, "s" * 40))
    monkeypatch.setattr(gate, "_answer", lambda _: 1 / 0)
    request = S3Request("GET", "gate-any", "k", (), {}, BodyStream(io.BytesIO(), 0))
    response = gate._respond(request)
    assert response.status_code == 500
    assert b"<Code>InternalError</Code>" in response.get_data()


def test_other_methods(embedded: Store) -> None:
    refused(send("PATCH", embedded.url(embedded.bucket, "k")), 405, "MethodNotAllowed")
    for operation, params in (
        ("list_objects_v2", {"Bucket": embedded.bucket}),
        ("get_object", {"Bucket": embedded.bucket, "Key": "k"}),
    ):
        signed = embedded.client.generate_presigned_url(operation, params, HttpMethod="POST")
        refused(send("POST", signed, b"key=a&file=b"), 405, "MethodNotAllowed")


def test_errors_name_the_resource(embedded: Store) -> None:
    answer = send("GET", embedded.url(embedded.bucket, quote("a <b>.txt")))
    assert answer.text("Resource") == "/gate-plain/a%20%3Cb%3E.txt"
    assert answer.text("Message")
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["x-amz-request-id"]
