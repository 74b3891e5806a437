"""Signatures of webhooks, verified by the library that receivers use."""

import time
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.webhook_signature import derive_secret, secret_text, signed_headers
from tests.support.service import UNKNOWN_ID

ROOT, ID, BODY = b"r" * 32, UUID(UNKNOWN_ID), '{"type":"file.confirmed","name":"ü"}'.encode()
FIRST, SECOND = (derive_secret(ROOT, ID, number) for number in (1, 2))


def verifies(secret: bytes, headers: dict[str, str], body: bytes = BODY) -> bool:
    try:
        Webhook(secret_text(secret)).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_either_secret_verifies_while_both_are_valid() -> None:
    now = int(time.time())
    both = signed_headers([SECOND, FIRST], "msg_1", now, BODY)
    assert verifies(FIRST, both)
    assert verifies(SECOND, both)
    new = signed_headers([SECOND], "msg_1", now, BODY)
    assert not verifies(FIRST, new)
    assert verifies(SECOND, new)


def test_a_changed_part_does_not_verify() -> None:
    now = int(time.time())
    headers = signed_headers([FIRST], "msg_1", now, BODY)
    assert verifies(FIRST, headers)
    assert not verifies(FIRST, headers, BODY + b" ")
    assert not verifies(FIRST, headers | {"webhook-id": "msg_2"})
    assert not verifies(FIRST, headers | {"webhook-timestamp": str(now - 1)})
    assert not verifies(FIRST, signed_headers([FIRST], "msg_1", now - 400, BODY))


@pytest.mark.parametrize(
    "other", [(b"s" * 32, ID, 1), (ROOT, UUID(int=ID.int + 1), 1), (ROOT, ID, 2)]
)
def test_secrets_differ(other: tuple[bytes, UUID, int]) -> None:
    assert derive_secret(*other) != FIRST
