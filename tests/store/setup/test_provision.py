"""Buckets are set up as the plan says: on the embedded store, on RGW with the printed rights, and
on rclone, which can do none of it.
"""

import io
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from app.commands.bucket import show
from app.core.bucket_setup import Aspect
from app.core.iam import service_policy, setup_policy
from app.errors import BucketRefused, BucketUnavailable
from app.runtime.resources import open_session
from app.settings.model import Settings, load_settings
from app.store.setup.provision import BucketPlan, Outcome, apply, plan
from tests.support.command import claimcheck
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import Store
from tests.support.stores import rclone, s3_client
from tests.support.stores.rgw import Rgw

ORIGINS = {"CLAIMCHECK_CORS_ORIGINS": "https://www.example.com"}


class Bucket:
    """A bare bucket: its owner's client, and the settings of whoever sets it up."""

    def __init__(self, store: Store, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.environ = store.environ(name) | ORIGINS

    @property
    def settings(self) -> Settings:
        return load_settings(self.environ)

    async def plan(self) -> BucketPlan:
        [planned] = await plan(open_session(self.settings), self.settings)
        return planned

    async def apply(self) -> BucketPlan:
        [applied] = await apply(open_session(self.settings), self.settings)
        return applied


@pytest.fixture(params=["embedded", "ceph"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    name = f"bare-{secrets.token_hex(6)}"
    if request.param == "embedded":
        store: Store = request.getfixturevalue("gate")
        owner = s3_client(store.endpoint_url, store.access_key, store.secret_key)
        owner.create_bucket(Bucket=name)
        return Bucket(store, owner, name)
    gateway: Rgw = request.getfixturevalue("gateway")
    owner = gateway.client()
    owner.create_bucket(Bucket=name)
    user = gateway.create_user(f"setup-{secrets.token_hex(4)}")
    store = Store(gateway.endpoint_url, user.access_key, user.secret_key)
    bare = Bucket(store, owner, name)
    gateway.grant(user, setup_policy(list(bare.settings.destinations.values())))
    return bare


def outcomes(planned: BucketPlan) -> dict[Aspect, Outcome]:
    return {change.aspect: change.outcome for change in planned.changes}


async def test_applied_once_there_is_nothing_left(bucket: Bucket) -> None:
    first = await bucket.plan()
    assert first.pending
    applied = outcomes(await bucket.apply())
    lacks = {aspect for aspect, outcome in applied.items() if outcome is Outcome.UNKNOWN}
    ceph = bucket.owner.head_bucket(Bucket=bucket.name)["ResponseMetadata"]["HTTPHeaders"]
    expected = {Aspect.OWNERSHIP, Aspect.ENCRYPTION} if "x-rgw-object-count" in ceph else set()
    assert lacks == expected
    assert set(applied.values()) <= {Outcome.CHANGED, Outcome.UNKNOWN}
    again = await bucket.plan()
    assert not again.pending
    assert set(outcomes(again).values()) <= {Outcome.SAME, Outcome.UNKNOWN}
    assert outcomes(await bucket.apply()) == outcomes(again)


async def test_what_is_written_is_what_the_store_holds(bucket: Bucket) -> None:
    await bucket.apply()
    owner, name = bucket.owner, bucket.name
    assert owner.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    [rule] = owner.get_bucket_cors(Bucket=name)["CORSRules"]
    assert rule["AllowedOrigins"] == ["https://www.example.com"]
    switches = owner.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert switches["IgnorePublicAcls"]
    assert switches["RestrictPublicBuckets"]
    rules = owner.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert {r["Filter"]["Prefix"] for r in rules} == {"images/", "videos/", "files/"}
    policy = json.loads(owner.get_bucket_policy(Bucket=name)["Policy"])
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Deny"}
    # And the bucket still takes files.
    owner.put_object(Bucket=name, Key="files/x", Body=b"x")
    owner.get_object(Bucket=name, Key="files/x")["Body"].read()


async def test_what_others_have_set_stays(bucket: Bucket) -> None:
    owner, name = bucket.owner, bucket.name
    cors = {
        "ID": "cdn",
        "AllowedOrigins": ["https://cdn.example.com"],
        "AllowedMethods": ["GET"],
        "AllowedHeaders": ["range"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 5,
    }
    expiry = {
        "ID": "logs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 30},
    }
    statement = {
        "Sid": "Logs",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{name}/logs/*"],
    }
    owner.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [cors]})
    owner.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [expiry]}
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    owner.put_bucket_policy(Bucket=name, Policy=policy)

    await bucket.apply()
    # Another origin and another destination: ours is replaced, theirs is not.
    bucket.environ |= {
        "CLAIMCHECK_CORS_ORIGINS": "https://new.example.com",
        "CLAIMCHECK_DESTINATIONS__IMAGES__KEY_PREFIX": "pictures/",
    }
    assert (await bucket.plan()).pending
    await bucket.apply()

    rules = owner.get_bucket_cors(Bucket=name)["CORSRules"]
    assert [r["AllowedOrigins"] for r in rules] == [
        ["https://new.example.com"],
        ["https://cdn.example.com"],
    ]
    assert rules[1] == cors
    rules = owner.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    prefixes = sorted(r["Filter"]["Prefix"] for r in rules)
    assert prefixes == ["files/", "logs/", "pictures/", "videos/"]
    assert expiry in rules
    found = json.loads(owner.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert statement in found
    ours = {each["Sid"] for each in found if each != statement}
    assert ours - {"ClaimcheckCopies"} == {"ClaimcheckSignatureAge"}
    assert len(found) == 1 + len(ours)


async def test_a_missing_bucket_is_made(gate: Store) -> None:
    name = f"new-{secrets.token_hex(6)}"
    owner = s3_client(gate.endpoint_url, gate.access_key, gate.secret_key)
    bucket = Bucket(gate, owner, name)
    assert (await bucket.plan()).missing
    assert name not in {b["Name"] for b in owner.list_buckets()["Buckets"]}
    assert set(outcomes(await bucket.apply()).values()) == {Outcome.CHANGED}
    assert not (await bucket.plan()).missing


async def test_a_store_that_has_none_of_it() -> None:
    if reason := rclone.available():
        pytest.skip(reason)
    with rclone.start_rclone() as server:
        store = Store(server.endpoint_url, server.access_key, server.secret_key)
        bucket = Bucket(store, server.client(), server.bucket)
        for planned in (await bucket.plan(), await bucket.apply()):
            assert not planned.pending
            assert set(outcomes(planned).values()) == {Outcome.UNKNOWN}


@pytest.mark.parametrize("code", ["MalformedXML", "InvalidRequest", "InvalidArgument"])
async def test_what_the_store_finds_wrong_is_no_lack_of_the_store(gate: Store, code: str) -> None:
    """It showed by reading that it knows all this, so it is the request that it refuses."""
    name = f"bare-{secrets.token_hex(6)}"
    s3_client(gate.endpoint_url, gate.access_key, gate.secret_key).create_bucket(Bucket=name)
    async with faulty_proxy(gate.endpoint_url) as proxy:
        proxy.disturb("PUT", (400, code), times=100)
        bucket = Bucket(replace(gate, endpoint_url=proxy.address), None, name)
        applied = await bucket.apply()
    assert set(outcomes(applied).values()) == {Outcome.REFUSED}
    assert {change.reason for change in applied.changes} == {code}


async def test_our_cors_rule_goes_with_the_last_origin(bucket: Bucket) -> None:
    await bucket.apply()
    bucket.environ["CLAIMCHECK_CORS_ORIGINS"] = ""
    assert outcomes(await bucket.apply())[Aspect.CORS] is Outcome.CHANGED
    with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
        bucket.owner.get_bucket_cors(Bucket=bucket.name)
    assert outcomes(await bucket.plan())[Aspect.CORS] is Outcome.SAME


async def test_a_policy_that_lets_everybody_in_is_noted(gate: Store) -> None:
    name = f"bare-{secrets.token_hex(6)}"
    owner = s3_client(gate.endpoint_url, gate.access_key, gate.secret_key)
    owner.create_bucket(Bucket=name)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{name}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    owner.put_bucket_policy(Bucket=name, Policy=policy)
    planned = await Bucket(gate, owner, name).plan()
    assert [note for note in planned.notes if "lets everybody in" in note]


async def test_the_service_may_look_and_not_touch(gateway: Rgw) -> None:
    """The rights of the service itself do for a plan, and for nothing else."""
    name = f"bare-{secrets.token_hex(6)}"
    owner = gateway.client()
    owner.create_bucket(Bucket=name)
    user = gateway.create_user(f"service-{secrets.token_hex(4)}")
    bucket = Bucket(Store(gateway.endpoint_url, user.access_key, user.secret_key), owner, name)
    with pytest.raises(BucketRefused):
        await bucket.plan()
    gateway.grant(user, service_policy(list(bucket.settings.destinations.values())))
    assert Outcome.DENIED not in outcomes(await bucket.plan()).values()
    applied = await bucket.apply()
    refused = {change.aspect for change in applied.changes if change.outcome is Outcome.REFUSED}
    assert refused >= {Aspect.VERSIONING, Aspect.CORS, Aspect.LIFECYCLE, Aspect.POLICY}
    assert (await bucket.plan()).pending


async def test_a_store_that_is_not_there() -> None:
    store = Store("http://127.0.0.1:1")
    with pytest.raises(BucketUnavailable):
        await Bucket(store, None, "bkt").plan()


async def test_the_difference_is_shown(gate: Store) -> None:
    name = f"bare-{secrets.token_hex(6)}"
    owner = s3_client(gate.endpoint_url, gate.access_key, gate.secret_key)
    owner.create_bucket(Bucket=name)
    owner.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    out = io.StringIO()
    show(Console(file=out, width=200), [await Bucket(gate, owner, name).plan()])
    text = out.getvalue()
    assert f"{name} at {gate.endpoint_url}" in text
    assert "~ versioning will change" in text
    assert '-  "Status": "Suspended"' in text
    assert '+  "Status": "Enabled"' in text
    assert "note: An endpoint is http://" in text


# --- The command


def test_the_command_from_plan_to_plan(gate: Store) -> None:
    environ = gate.environ(f"bare-{secrets.token_hex(6)}") | ORIGINS
    before = claimcheck("bucket", "plan", **environ)
    assert (before.returncode, before.stderr) == (2, "")
    assert "the bucket does not exist: it will be made" in before.stdout
    unasked = claimcheck("bucket", "apply", **environ)
    assert unasked.returncode == 1
    assert unasked.stderr.startswith("Nothing was changed; ")
    applied = claimcheck("bucket", "apply", "--yes", **environ)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert applied.stdout.count(" changed") == len(Aspect) - 1  # of notifications nothing is set
    after = claimcheck("bucket", "plan", **environ)
    assert (after.returncode, after.stderr) == (0, "")
    assert after.stdout.count("is as wanted") == len(Aspect) - 1  # of notifications nothing is set
    assert claimcheck("bucket", "apply", **environ).returncode == 0


@pytest.mark.parametrize(("who", "policy"), [("service", service_policy), ("setup", setup_policy)])
def test_the_command_prints_policies(who: str, policy: Callable[..., Any]) -> None:
    environ = {"AWS_STORAGE_BUCKET_NAME": "bkt"}
    done = claimcheck("bucket", "iam", who, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == policy(list(load_settings(environ).destinations.values()))


def test_the_command_says_what_is_wrong(gate: Store) -> None:
    done = claimcheck("bucket", "plan")
    assert done.returncode == 1
    assert "set AWS_STORAGE_BUCKET_NAME" in done.stderr
    wrong = gate.environ("bkt") | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    done = claimcheck("bucket", "plan", **wrong)
    assert done.returncode == 1
    assert done.stderr.startswith("claimcheck cannot go on: The bucket bkt refused")
    assert done.stderr.count("\n") == 1
