"""S3 servers as the gate's tests see them, and the means to send them any request."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import boto3
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

REGION = "us-east-1"
ORIGIN = "https://app.example"
CORS_RULES = [
    {
        "AllowedOrigins": [ORIGIN, "https://*.trusted.example"],
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
        "AllowedHeaders": ["content-type", "x-amz-*"],
        "ExposeHeaders": ["ETag", "x-amz-version-id"],
        "MaxAgeSeconds": 600,
    }
]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str | None:
        """The error code of S3's XML."""
        return self.text("Code") if self.status >= 300 and self.body else None

    def text(self, element: str) -> str | None:
        return ElementTree.fromstring(self.body).findtext(f"{{*}}{element}")


@dataclass(frozen=True)
class Store:
    """A server, a key pair that may do anything there, and three buckets of the session's."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    client: Any = field(repr=False)
    bucket: str = "gate-plain"
    versioned: str = "gate-versioned"
    other: str = "gate-other"

    def url(self, bucket: str, key: str) -> str:
        return f"{self.endpoint_url}/{bucket}/{key}"

    def put(self, body: bytes = b"as stored", **params: Any) -> str:
        """Stores an object; its key."""
        key = params.pop("Key", None) or new_key()
        self.client.put_object(**{"Bucket": self.bucket, "Key": key, "Body": body, **params})
        return key

    def presign(self, operation: str, expires: int = 60, **params: Any) -> str:
        url: str = self.client.generate_presigned_url(
            operation, Params={"Bucket": self.bucket, **params}, ExpiresIn=expires
        )
        return url

    def presign_post(
        self,
        key: str,
        fields: Mapping[str, str] | None = None,
        conditions: Sequence[Any] = (),
        expires: int = 60,
        bucket: str | None = None,
    ) -> dict[str, str]:
        """The fields of a POST; each of ``fields`` gets its own condition."""
        exact = [{name: value} for name, value in (fields or {}).items()]
        presigned = self.client.generate_presigned_post(
            bucket or self.bucket,
            key,
            Fields=dict(fields or {}),
            Conditions=[*exact, *conditions],
            ExpiresIn=expires,
        )
        return dict(presigned["fields"])

    def sign_policy(self, policy: object, key: str) -> dict[str, str]:
        """The fields of a POST whose policy is whatever it is told to be."""
        text = policy if isinstance(policy, str) else json.dumps(policy)
        timestamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        signer = S3SigV4QueryAuth(Credentials(self.access_key, self.secret_key), "s3", REGION)
        request = AWSRequest()
        request.context["timestamp"] = timestamp
        encoded = base64.b64encode(text.encode()).decode()
        return {
            "key": key,
            "policy": encoded,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": signer.scope(request),
            "x-amz-date": timestamp,
            "x-amz-signature": signer.signature(encoded, request),
        }

    def post(
        self,
        fields: Mapping[str, str],
        data: bytes = b"form data",
        filename: str = "name.bin",
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> Answer:
        """Sends a form with the file behind its fields."""
        body, content_type = encode_form([*fields.items()], data, filename)
        url = f"{self.endpoint_url}/{bucket or self.bucket}"
        return send("POST", url, body, {"Content-Type": content_type, **(headers or {})})


def encode_form(
    fields: Sequence[tuple[str, str]], data: bytes | None, filename: str = "name.bin"
) -> tuple[bytes, str]:
    """multipart/form-data with the file last (none for None), and its Content-Type."""
    boundary = secrets.token_hex(12)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    if data is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        head += "Content-Type: text/x-of-the-part\r\n\r\n"
        parts.append(f"--{boundary}\r\n{head}".encode() + data + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def send(
    method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """One request, its path and headers exactly as given."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, target, body or None, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def new_key() -> str:
    return f"gate/{uuid.uuid4().hex}.bin"


def s3_client(
    endpoint_url: str, access_key: str, secret_key: str, session_token: str | None = None
) -> Any:
    """A boto3 client that tries once, for the key pair."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=session_token,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # RGW 16.2 answers AccessDenied to botocore's default checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 0},
            max_pool_connections=32,
        ),
    )


ODD_KEYS = [
    "a//b",
    "../up/./here",
    "/leading",
    "trailing/",
    "ü 日本 %41+?&#;=",
    "a:b@c!$'()*,~",
    "moto-api/reset",
    "k" * 1024,
]


def refused(answer: Answer, status: int = 403, code: str | None = None) -> None:
    assert answer.status == status, answer.body
    if code is not None:
        assert answer.code == code


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sign_headers(
    store: Store, method: str, url: str, body: bytes, **headers: str
) -> dict[str, str]:
    request = AWSRequest(
        method, url, data=body, headers={n.replace("_", "-"): v for n, v in headers.items()}
    )
    S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", REGION).add_auth(request)
    return dict(request.headers.items())
