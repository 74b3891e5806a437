"""Webhooks: whether a payload is the service's, by Standard Webhooks 1.0 (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import cast

from claimcheck_client.errors import InvalidSignature
from claimcheck_client.types import Event

_TOLERANCE = 300  # seconds that the two clocks may differ


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> Event:
    """The event that a webhook brings. `secret` is the webhook's, `whsec_...`.

    `headers` are the request's, in any case; `body` its bytes as they came, before anything reads
    them as JSON. `now` is in seconds since the Unix epoch. Raises InvalidSignature.
    """
    said = {name.lower(): value for name, value in headers.items()}
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not key:  # with which everybody can sign
        raise ValueError("The secret must be whsec_ and Base64, as the webhook showed it.")
    try:
        message_id, timestamp = said["webhook-id"], int(said["webhook-timestamp"])
        signatures = said["webhook-signature"].split()
    except (KeyError, ValueError):
        raise InvalidSignature("The request has not the headers of a webhook.") from None
    message = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    mac = base64.b64encode(hmac.digest(key, message, hashlib.sha256))
    if not any(hmac.compare_digest(b"v1," + mac, each.encode()) for each in signatures):
        raise InvalidSignature("The webhook was not signed with this secret.")
    if abs((time.time() if now is None else now) - timestamp) > _TOLERANCE:
        raise InvalidSignature("The webhook was signed too long ago, or a clock is wrong.")
    event = json.loads(body)
    return cast(Event, {"id": message_id, **event})
