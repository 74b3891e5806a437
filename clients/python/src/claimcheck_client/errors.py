"""Failures. Those that the service tells are problems; docs/problems.md lists their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OF_ANOTHER_STATE = ("upload-expired", "upload-not-pending", "upload-not-found", "part-differs")


class ClaimcheckError(Exception):
    """Any failure of this package. `status` is the HTTP status, 0 where there was no answer.

    `may_repeat` says whether the same request may succeed later; `wait` (seconds) how long to wait
    first, where the answer said so; `again`, where it is set, how often that is worth trying.
    """

    status: int = 0
    may_repeat: bool = False
    wait: float = 0
    again: int | None = None


class Unreachable(ClaimcheckError):
    """The service or the bucket did not answer, or the connection broke."""

    may_repeat = True


class FileChanged(ClaimcheckError):
    """The file was changed while it was sent, or is not the one that was confirmed."""


class InvalidSignature(ClaimcheckError):
    """The webhook was not signed with this secret, or too long ago."""


class Problem(ClaimcheckError):
    """A failure that the service tells (RFC 9457).

    `type` is the slug after `urn:claimcheck:problem:`, and "" where the answer is no problem of the
    service's, as a proxy's; `members` has all of it.
    """

    def __init__(self, status: int, members: Mapping[str, Any], retry_after: str | None) -> None:
        self.status = status
        self.members = dict(members)
        self.type = str(members.get("type", "")).rpartition(":")[2]
        self.title = str(members.get("title", f"The service answered with status {status}"))
        # A 404 that is no problem is of a router that has no service behind it, or of another one.
        is_lost = status == 404 and not self.type
        advice = "Is its address right?" if is_lost else "Try again in a moment."
        self.detail = str(members.get("detail", advice))
        self.request_id: str | None = members.get("request_id")
        self.wait = seconds(retry_after)
        # A 409 that tells when to come back is of something that is under way.
        is_busy = status == 409 and retry_after is not None and self.type != "scan-pending"
        is_later = status in (408, 425, 429, 500, 502, 503, 504) and self.type != "bucket-refused"
        # The key may be made anew for each request.
        self.may_repeat = is_busy or is_later or is_lost or status == 401
        self.again = 1 if status == 401 else None
        super().__init__(f"{self.title}. {self.detail}")

    @property
    def is_of_another_state(self) -> bool:
        """Whether the upload is in another state than was assumed: expired, ended, not there."""
        return self.type in _OF_ANOTHER_STATE


class BucketError(ClaimcheckError):
    """The bucket refused a request; `code` is S3's."""

    def __init__(self, status: int, xml: str, retry_after: str | None) -> None:
        found = (re.search(f"<{name}>([^<]*)</{name}>", xml) for name in ("Code", "Message"))
        self.code, message = (match[1] if match else "" for match in found)
        self.status = status
        self.wait = seconds(retry_after)
        is_later = status in (408, 409, 425, 429) or status >= 500 or self.code == "RequestTimeout"
        # An expired signature, or a byte that was flipped: whatever is sent again is signed anew.
        self.may_repeat = is_later or status in (400, 403)
        self.again = None if is_later else 2
        why = ": ".join(filter(None, (self.code, message))) or f"status {status}"
        super().__init__(f"The bucket refused the file. {why}")


def seconds(retry_after: str | None) -> float:
    """Of a `Retry-After`; 0 where there is none, or it is a date."""
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else 0
