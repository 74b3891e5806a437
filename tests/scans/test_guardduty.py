"""AWS GuardDuty: an event says that it has scanned, the object's tag what it has found."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.bucket_events import UnreadableEvent, arrivals, scans
from app.core.iam import service_policy
from app.core.scans import GUARDDUTY_TAG
from app.runtime.resources import Resources, open_resources
from app.scans.work import Scanner
from app.settings.model import Settings
from app.upkeep.queue import handle
from tests.support.buckets import ceph_bucket
from tests.support.secrets_in_logs import keep_secret
from tests.support.service import Clock, owner_of_bucket, prepared, running
from tests.support.steps import setting, stored
from tests.support.stores.rgw import Rgw

TOKEN = "events-" + secrets.token_hex(16)
keep_secret(TOKEN)


def event(bucket: str, key: str, status: str = "NO_THREATS_FOUND") -> str:
    """As in the userguide of GuardDuty, "Monitoring S3 object scans with Amazon EventBridge"."""
    threats = [{"name": "EICAR-Test-File (not a virus)"}] if status == "THREATS_FOUND" else None
    detail = {
        "schemaVersion": "1.0",
        "scanStatus": "COMPLETED",
        "resourceType": "S3_OBJECT",
        "s3ObjectDetails": {
            "bucketName": bucket,
            "objectKey": key,
            "eTag": "ASIAI44QH8DHBEXAMPLE",
            "versionId": "d41d8cd98f00b204e9800998eEXAMPLE",
            "s3Throttled": False,
        },
        "scanResultDetails": {"scanResultStatus": status, "threats": threats},
    }
    kind = "GuardDuty Malware Protection Object Scan Result"
    return json.dumps({"source": "aws.guardduty", "detail-type": kind, "detail": detail})


def test_events_are_read() -> None:
    said = event("bkt", "files/a b.txt")
    assert scans(said) == {("bkt", "files/a b.txt")}
    assert arrivals(said) == set()
    by_sns = json.dumps({"Type": "Notification", "Message": said})
    assert scans(by_sns) == {("bkt", "files/a b.txt")}
    s3 = {"bucket": {"name": "bkt"}, "object": {"key": "a"}}
    assert scans(json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})) == set()
    with pytest.raises(UnreadableEvent, match="lacks s3ObjectDetails"):
        scans(json.dumps({"detail-type": json.loads(said)["detail-type"], "detail": {}}))


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    guardduty = setting("files", "scanner", "guardduty")
    return await prepared(environ | guardduty | {"CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN})


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def res(settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    async with open_resources(settings, clock=clock) as res:
        yield res


async def tag(settings: Settings, file: dict[str, Any], status: str) -> None:
    tags = [{"Key": "other", "Value": "x"}, {"Key": GUARDDUTY_TAG, "Value": status}]
    async with owner_of_bucket(settings) as s3:
        await s3.put_object_tagging(
            Bucket=settings.destinations["files"].bucket,
            Key=file["key"],
            VersionId=file["version_id"],
            Tagging={"TagSet": tags},
        )


async def scanned(res: Resources) -> dict[str, int]:
    return dict(await Scanner(res).run_once(asyncio.Event()))


@pytest.mark.parametrize(
    ("status", "scan"),
    [
        ("NO_THREATS_FOUND", "clean"),
        ("THREATS_FOUND", "infected"),
        ("UNSUPPORTED", "failed"),
        ("ACCESS_DENIED", "failed"),
        ("FAILED", "failed"),
        # Of none of these: it is not understood, so nothing is served.
        ("SOMETHING_NEW", "pending"),
    ],
)
async def test_tags(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    clock: Clock,
    status: str,
    scan: str,
) -> None:
    file = await stored(client, web)
    assert await scanned(res) == {"waiting": 1}
    await tag(settings, file, status)
    # Whether or not an event comes, the tag is looked at after a while.
    clock.ahead = timedelta(minutes=1)
    assert await scanned(res) == {"waiting" if scan == "pending" else scan: 1}
    read = (await client.get(f"/v1/files/{file['id']}")).json()
    assert read["scan"] == scan
    assert (read["presigned_url"] is not None) is (scan == "clean")
    assert read["scan_reason"] == (None if scan == "pending" else f"GuardDuty: {status}")


async def test_an_event_hastens_the_look_and_is_not_believed(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources
) -> None:
    """Whoever can post events cannot clear a file: what counts is its tag."""
    file = await stored(client, web)
    assert await scanned(res) == {"waiting": 1}
    assert await scanned(res) == {}
    told = event(settings.destinations["files"].bucket, file["key"])

    async def tell() -> None:
        how = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "content": told}
        assert (await client.post("/v1/bucket-events", **how)).status_code == 204

    await tell()
    assert await scanned(res) == {"waiting": 1}
    await tag(settings, file, "NO_THREATS_FOUND")
    await tell()
    assert await scanned(res) == {"clean": 1}
    # A later scan of the same object finds more.
    await tag(settings, file, "THREATS_FOUND")
    assert await scanned(res) == {}
    await tell()
    assert await scanned(res) == {"infected": 1}
    # And a clean one does not bring it back: that is for people.
    await tag(settings, file, "NO_THREATS_FOUND")
    await tell()
    assert await scanned(res) == {}


async def test_a_tag_of_other_bytes_clears_nothing(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    db: asyncpg.Connection,
) -> None:
    """On a bucket without versions whoever still holds the form may put something clean there."""
    replaced, kept = [await stored(client, web, b"hello", name) for name in ("a.txt", "b.txt")]
    await db.execute("UPDATE files SET version_id = NULL")
    bucket = settings.destinations["files"].bucket
    async with owner_of_bucket(settings) as s3:
        put = await s3.put_object(Bucket=bucket, Key=replaced["key"], Body=b"HELLO")
    for file in (replaced | {"version_id": put["VersionId"]}, kept):
        await tag(settings, file, "NO_THREATS_FOUND")
    assert await scanned(res) == {"failed": 1, "clean": 1}
    read = (await client.get(f"/v1/files/{replaced['id']}")).json()
    assert (read["scan"], read["presigned_url"]) == ("failed", None)
    assert "replaced" in read["scan_reason"]


class Queue:
    """SQS, as far as the worker deletes what it has read."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> None:  # noqa: N803
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]


async def test_by_the_queue(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources
) -> None:
    file = await stored(client, web)
    assert await scanned(res) == {"waiting": 1}
    await tag(settings, file, "NO_THREATS_FOUND")
    queue, body = Queue(), event(settings.destinations["files"].bucket, file["key"])
    await handle(res, queue, "q", [{"Body": body, "MessageId": "1", "ReceiptHandle": "r"}])
    assert queue.deleted == ["r"]
    assert await scanned(res) == {"clean": 1}


async def test_where_nobody_scans_an_event_does_nothing(
    environ: dict[str, str], web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN})
    async with running(settings) as client:
        file = await stored(client, web)
        before = await db.fetchval("SELECT claimed_until FROM files")
        told = event(settings.destinations["files"].bucket, file["key"])
        how = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "content": told}
        assert (await client.post("/v1/bucket-events", **how)).status_code == 204
        assert await db.fetchval("SELECT claimed_until FROM files") == before


async def test_no_tag_within_a_day(
    client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources, clock: Clock
) -> None:
    file = await stored(client, web)
    clock.ahead = timedelta(days=1, minutes=1)
    assert await scanned(res) == {"failed": 1}
    read = (await client.get(f"/v1/files/{file['id']}")).json()
    assert "has set no tag" in read["scan_reason"]


async def test_on_ceph(gateway: Rgw, database_url: str, web: httpx.AsyncClient) -> None:
    """Another store's tags of versions."""
    bucket = await ceph_bucket(gateway, database_url)
    more = setting("files", "scan", "required") | setting("files", "scanner", "guardduty")
    settings = await prepared(bucket.environ | more)
    async with running(settings) as client, open_resources(settings) as res:
        file = await stored(client, web)
        assert await scanned(res) == {"waiting": 1}
        await tag(settings, file, "NO_THREATS_FOUND")
        async with res.db.connection() as db:
            await db.execute("UPDATE files SET claimed_until = now()")
        assert await scanned(res) == {"clean": 1}


def test_the_right_is_named(settings: Settings) -> None:
    destinations = list(settings.destinations.values())
    rights = [list(one["Action"]) for one in service_policy(destinations)["Statement"]]
    assert ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"] in rights
    others = [one for one in destinations if one.scan == "off"]
    assert not any("Tagging" in str(one) for one in service_policy(others)["Statement"])
