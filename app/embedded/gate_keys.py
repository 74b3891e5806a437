"""The keys that the gate accepts: one pair without an end, and temporary ones from a file.

Source: AWS, IAM userguide/id_credentials_temp_use-resources, and S3 API/ErrorResponses for what is
answered about their session tokens.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from botocore.credentials import Credentials

from app.embedded.s3_error import S3Error, access_denied


@dataclass(frozen=True)
class TemporaryKey:
    """A key pair that works with its session token alone, until `ends_at` (an aware datetime).

    After it the answer is that of AWS, 400 ExpiredToken, or `ends_as_on_rgw` that of Ceph RGW 16.2,
    403 AccessDenied.
    """

    access_key: str
    secret_key: str
    session_token: str
    ends_at: datetime
    ends_as_on_rgw: bool = False


def write_temporary_keys(path: Path, keys: Iterable[TemporaryKey]) -> None:
    """Make these the temporary keys of the gate that reads `path`, from its next request on."""
    listed = [{**asdict(key), "ends_at": key.ends_at.isoformat()} for key in keys]
    # Renamed into place: the gate reads at any time.
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(json.dumps(listed))
    draft.replace(path)


@dataclass(frozen=True)
class Keys:
    """One key pair, and the temporary ones of the file at `temporary`, which may change."""

    access_key: str
    secret_key: str
    temporary: Path | None = None

    def find(self, access_key: str, token: str | None, now: datetime) -> Credentials:
        """The credentials of that name.

        Raises S3Error: 403 for a key that is unknown or lacks its session token, 400 for another
        token than its own, and what `TemporaryKey` says after its end.
        """
        if _same(self.access_key, access_key):
            if token is not None:
                raise _invalid_token("a key pair without an end takes none")
            return Credentials(self.access_key, self.secret_key)
        for key in self._temporary():
            if _same(key.access_key, access_key) and token is not None:
                if not _same(key.session_token, token):
                    raise _invalid_token("it is not the one of this key")
                if now >= key.ends_at:
                    raise _expired(key)
                return Credentials(key.access_key, key.secret_key)
        message = "The access key ID you provided does not exist in our records."
        raise S3Error(403, "InvalidAccessKeyId", message)

    def _temporary(self) -> list[TemporaryKey]:
        if self.temporary is None or not self.temporary.exists():
            return []
        keys = [TemporaryKey(**each) for each in json.loads(self.temporary.read_text())]
        return [
            replace(key, ends_at=datetime.fromisoformat(str(key.ends_at)).astimezone(UTC))
            for key in keys
        ]


def _expired(key: TemporaryKey) -> S3Error:
    if key.ends_as_on_rgw:
        return access_denied("Access Denied")
    message = "The provided token has expired."
    return S3Error(400, "ExpiredToken", message, **{"Token-0": key.session_token})


def _invalid_token(reason: str) -> S3Error:
    message = f"The provided session token is malformed or otherwise invalid: {reason}."
    return S3Error(400, "InvalidToken", message)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
