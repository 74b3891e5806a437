"""Keys from a `credential_process`, as a profile has them."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from app.store.credentials import utc_now
from tests.support.stores.rgw import Keys, Session


class Issuer:
    """Writes the keys that a `credential_process` hands out: a role's, in effect."""

    def __init__(self, folder: Path) -> None:
        self._keys = folder / "keys.json"
        self.config = folder / "config"
        self.config.write_text(f"[default]\ncredential_process = cat {self._keys}\n")

    def issue(self, keys: Keys | Session, *, ends_at: datetime | None = None) -> None:
        """From now on these, for ten minutes if nothing else is said: less than what has libraries
        ask for new ones.
        """
        document = {
            "Version": 1,
            "AccessKeyId": keys.access_key,
            "SecretAccessKey": keys.secret_key,
            "Expiration": (ends_at or utc_now() + timedelta(minutes=10)).isoformat(),
        }
        if isinstance(keys, Session):
            document["SessionToken"] = keys.token
        self._keys.write_text(json.dumps(document))

    def fail(self) -> None:
        """From now on the process ends with an error."""
        self._keys.unlink()
