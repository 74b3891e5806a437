"""AWS's example credentials, and ways to sign with them."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

from app.core.object_url import bucket_address
from app.core.sigv4 import Credentials, presign_post, presign_url

EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2024, 7, 1, 12, 13, 14, tzinfo=UTC)
ADDRESS = bucket_address("https://store.example:9000", "photos", "eu-west-1")


def get(key: str = "a.png", **changes: Any) -> str:
    arguments: dict[str, Any] = {"credentials": EXAMPLE, "now": NOW, "expires_in": 900, **changes}
    method = arguments.pop("method", "GET")
    return presign_url(method, arguments.pop("address", ADDRESS), key, **arguments)


def post(key: str = "a.png", **changes: Any) -> tuple[str, dict[str, str]]:
    arguments: dict[str, Any] = {
        "credentials": EXAMPLE,
        "now": NOW,
        "expires_in": 900,
        "fields": {"Content-Type": "image/png"},
        "size_range": (5, 5),
        **changes,
    }
    return presign_post(arguments.pop("address", ADDRESS), key, **arguments)


def policy_of(form: dict[str, str]) -> Any:
    return json.loads(b64decode(form["policy"]))


UNSENDABLE = ["a\rb", "a\nb", "a\r\nb", "\0", "\t", "\x1f", "\x7f", "\x85", "\x9f", "\ud800",
              "a\udfff"]  # fmt: skip
