"""Signatures of webhooks, by Standard Webhooks 1.0 (standardwebhooks.com), and their secrets. Pure.

A secret is derived from CLAIMCHECK_SECRET_KEY, the endpoint's id and how many secrets it has had,
so that no table holds anything that signs.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final
from uuid import UUID

SECRET_PREFIX: Final = "whsec_"  # noqa: S105


def derive_secret(root: bytes, webhook_id: UUID, generation: int) -> bytes:
    """The 32 bytes with which this endpoint's payloads are signed; `root` is this service's."""
    return hmac.digest(root, webhook_id.bytes + generation.to_bytes(8), hashlib.sha256)


def secret_text(secret: bytes) -> str:
    """The secret as receivers' libraries take it: `whsec_` and Base64."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def hash_secret(secret: bytes) -> bytes:
    """SHA-256 (32 bytes), by which it is known later that the same secret is derived still."""
    return hashlib.sha256(secret).digest()


def signed_headers(
    secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers of a webhook, signed with each of the secrets.

    `timestamp` is that of the try, in seconds since the Unix epoch; a receiver refuses one that is
    more than five minutes from its own clock.
    """
    message = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    macs = (hmac.digest(secret, message, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }
