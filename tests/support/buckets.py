"""Buckets that `claimcheck bucket apply` has set up, for tests to break."""

import json
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.core.iam import service_policy
from app.doctor.examine import examine
from app.doctor.findings import Report
from app.runtime.resources import open_session
from app.settings.model import load_settings
from app.store.setup.provision import apply
from app.store.signer import utc_now
from tests.support.service import Store
from tests.support.stores import s3_client
from tests.support.stores.rgw import Keys, Rgw

ORIGIN = "https://www.example.com"
ONE = json.dumps({"files": {}})
MANUAL = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


@dataclass
class SetUpBucket:
    """A bucket that was set up, its owner, and the environment of the service, to be broken."""

    owner: Any
    name: str
    environ: dict[str, str]
    user: Keys | None = None
    ahead: timedelta = field(default_factory=timedelta)

    async def examine(self) -> Report:
        settings = load_settings(self.environ)
        report = await examine(settings, self.environ, clock=lambda: utc_now() + self.ahead)
        for finding in report.findings:
            assert f"`{finding.check}`" in MANUAL
        return report

    def left_behind(self) -> list[str]:
        """Keys of whatever is in the bucket, in whatever version, joined or not."""
        listed = self.owner.list_object_versions(Bucket=self.name)
        entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        uploads = self.owner.list_multipart_uploads(Bucket=self.name).get("Uploads") or []
        return [entry["Key"] for entry in [*entries, *uploads]]

    def deny(self, *actions: str) -> None:
        """Take rights from the service's user."""
        assert self.user is not None
        policy = json.loads(self.owner.get_bucket_policy(Bucket=self.name)["Policy"])
        arn = f"arn:aws:s3:::{self.name}"
        policy["Statement"].append(
            {
                "Effect": "Deny",
                "Principal": {"AWS": f"arn:aws:iam:::user/{self.user.user}"},
                "Action": list(actions),
                "Resource": [arn, f"{arn}/*"],
            }
        )
        self.owner.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))


async def set_up(store: Store, owner: Any, database_url: str) -> SetUpBucket:
    name = f"bucket-{secrets.token_hex(6)}"
    environ = {
        "DATABASE_URL": database_url,
        "CLAIMCHECK_AUTH": "none",
        "CLAIMCHECK_CORS_ORIGINS": ORIGIN,
        "CLAIMCHECK_DESTINATIONS": ONE,
        **store.environ(name),
    }
    settings = load_settings(environ)
    await apply(open_session(settings), settings)
    return SetUpBucket(owner, name, environ)


async def embedded_bucket(gate: Store, database_url: str) -> SetUpBucket:
    owner = s3_client(gate.endpoint_url, gate.access_key, gate.secret_key)
    return await set_up(gate, owner, database_url)


async def ceph_bucket(gateway: Rgw, database_url: str) -> SetUpBucket:
    """The service's user has the rights of the printed policy, and no others."""
    keys = gateway.owner
    owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    bucket = await set_up(owned, gateway.client(), database_url)
    user = gateway.create_user(f"service-{secrets.token_hex(4)}")
    destinations = list(load_settings(bucket.environ).destinations.values())
    gateway.grant_in_bucket(user, bucket.name, service_policy(destinations))
    service = Store(gateway.endpoint_url, user.access_key, user.secret_key)
    bucket.environ |= service.environ(bucket.name)
    bucket.user = user
    return bucket
