"""Forms for POST Object, and their policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.steps import Answer, Store

FIELDS = {
    "Content-Type": "image/png",
    "x-amz-meta-id": "7",
    "Cache-Control": "private",
    "Content-Disposition": "attachment",
    "success_action_status": "201",
}
TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>{}</Value></Tag></TagSet></Tagging>"
ANY = ["starts-with", "$Content-Type", ""]
RANGE = ["content-length-range", 2, 10]


def refused(store: Store, key: str, answer: Answer, status: int = 403, code: str = "") -> None:
    """Refused, and nothing stored."""
    assert answer.status == status, answer.body
    if code:
        assert answer.code == code
    with pytest.raises(ClientError, match="404"):
        store.client.head_object(Bucket=store.bucket, Key=key)


def policy(key: str, *conditions: Any, seconds: int = 60) -> dict[str, Any]:
    """A policy with the conditions that every form needs, as sign_policy fills it."""
    expiration = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [
            {"bucket": "gate-plain"},
            ["eq", "$key", key],
            *(
                ["starts-with", f"$x-amz-{name}", ""]
                for name in ("algorithm", "credential", "date")
            ),
            *conditions,
        ],
    }
