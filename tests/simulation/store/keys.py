"""The access keys that the simulated store knows, and when session tokens end."""

from dataclasses import dataclass, field
from datetime import datetime

from botocore.credentials import Credentials

from app.embedded.gate_keys import Keys
from app.embedded.s3_error import S3Error, access_denied


@dataclass
class Key:
    """A key pair; temporary ones have a token, and may end."""

    secret: str
    token: str | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class KnownKeys(Keys):
    """Where the gate's verifier of signatures looks keys up."""

    access_key: str = ""
    secret_key: str = ""
    tells_ended: bool = True
    known: dict[str, Key] = field(default_factory=dict)

    def find(self, access_key: str, token: str | None, now: datetime) -> Credentials:
        """Raises S3Error for a key that is unknown, and a token that is wrong or has ended."""
        key = self.known.get(access_key)
        if key is None:
            raise S3Error(403, "InvalidAccessKeyId", "The access key is not known.")
        if token != key.token:
            raise S3Error(400, "InvalidToken", "The token is not the one of this key.")
        if key.ends_at is not None and now >= key.ends_at:
            if self.tells_ended:
                raise S3Error(400, "ExpiredToken", "The provided token has expired.")
            raise access_denied("Access Denied")
        return Credentials(access_key, key.secret)
