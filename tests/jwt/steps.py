"""Tokens, right and forged, and what is answered to them."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.support.steps import slug

SECRET = "a shared secret of quite enough bytes"


async def status(client: httpx.AsyncClient, token: str) -> int:
    response = await client.get("/v1/files", headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 401:
        assert slug(response) == "invalid-token"
        assert response.headers["www-authenticate"] == (
            'Bearer realm="claimcheck", error="invalid_token"'
        )
        assert len(token) < 30 or token not in response.text
    return response.status_code


def forged(
    header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes] = lambda _: b""
) -> str:
    """A token that no library would make."""
    parts = [base64url(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, base64url(sign(".".join(parts).encode()))])


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
