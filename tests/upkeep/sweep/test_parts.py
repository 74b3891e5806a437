"""The sweep and uploads in parts: joined if all are there, dropped if not."""

import json
from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.core.parts import MIB
from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from app.upkeep.reconcile import reconcile, sections
from tests.support.buckets import ceph_bucket
from tests.support.service import UNKNOWN_ID, running
from tests.support.steps import announced, send, stored
from tests.support.stores.rgw import Rgw
from tests.support.upkeep import HOUR, PAUSED, swept
from tests.upkeep.sweep.steps import DATA, Bucket, parts_sent, states


async def test_parts_are_joined_if_all_are_there_and_dropped_if_not(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
) -> None:
    whole = await parts_sent(client, web, DATA, 2)
    half = await parts_sent(client, web, DATA, 1)
    none = await parts_sent(client, web, DATA, 0)
    assert await bucket.uploads() == 3
    # Whoever sent some of them may be offline.
    assert await swept(settings, HOUR / 60) == {"confirmed": 1, "awaited": 2}
    assert await swept(settings) == {"awaited": 2}
    assert await swept(settings, PAUSED) == {"removed": 2}
    assert await bucket.uploads() == 0
    file = (await client.get(f"/v1/files/{whole['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == DATA
    for upload in (half, none):
        assert await bucket.versions(upload["key"]) == 0
        # The URLs of its parts are still good by the clock, and lead nowhere.
        part = upload["upload"]["parts"][1]
        assert (await web.put(part["url"], content=DATA[5 * MIB :])).status_code == 404


async def test_parts_of_an_unknown_number_are_never_taken_for_the_whole(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    upload = await parts_sent(client, web, DATA, 2)
    await db.execute("UPDATE files SET size = NULL, part_size = NULL")
    assert await swept(settings, PAUSED) == {"removed": 1}
    assert await bucket.uploads() == 0
    assert await bucket.versions(upload["key"]) == 0


async def test_a_lost_answer_to_the_beginning_of_an_upload_leaves_no_parts(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    await parts_sent(client, web, DATA, 1)
    await db.execute("UPDATE files SET store_upload_id = NULL")
    assert await swept(settings, PAUSED) == {"removed": 1}
    assert await bucket.uploads() == 0


@pytest.mark.parametrize("joined", [False, True])
async def test_a_completion_whose_process_died_is_taken_over(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
    joined: bool,
) -> None:
    upload = await parts_sent(client, web, DATA, 2)
    if joined:
        # It died between the bucket's answer and its own commit.
        named = {"Bucket": bucket.name, "Key": upload["key"]}
        named["UploadId"] = await db.fetchval("SELECT store_upload_id FROM files")
        parts = (await bucket._s3.list_parts(**named))["Parts"]
        together = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]
        await bucket._s3.complete_multipart_upload(**named, MultipartUpload={"Parts": together})
    await db.execute(
        "UPDATE files SET state = 'completing', claimed_until = $1", utc_now() + HOUR / 60
    )
    assert await swept(settings, timedelta()) == {}
    # Long before the upload expires.
    assert await swept(settings, HOUR / 2) == {"confirmed": 1}
    file = (await client.get(f"/v1/files/{upload['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == DATA


async def test_a_completion_that_lacks_parts_is_pending_again_and_goes_in_time(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await parts_sent(client, web, DATA, 1)
    await db.execute("UPDATE files SET state = 'completing', claimed_until = $1", utc_now())
    assert await swept(settings, HOUR / 2) == {"moved": 1, "awaited": 1}
    assert await states(db) == {"pending": 1}
    assert await swept(settings, PAUSED) == {"removed": 1}


async def test_on_ceph_with_the_printed_policy(
    gateway: Rgw, database_url: str, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """Each thing that the sweep does, and then reconcile, by a user with those rights and no
    others.
    """
    bucket = await ceph_bucket(gateway, database_url)
    settings = load_settings(
        bucket.environ
        | {
            "CLAIMCHECK_DESTINATIONS": json.dumps(
                {
                    "files": {
                        "multipart_threshold": 5 * MIB,
                        "part_size": 5 * MIB,
                        "allow_client_keys": True,
                    }
                }
            )
        }
    )
    # RGW refuses every PUT under BlockPublicAcls.
    bucket.owner.put_public_access_block(
        Bucket=bucket.name, PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    async with running(settings) as client:
        arrived = await announced(client, b"hello", "a.txt")
        assert (await send(web, arrived["upload"], b"hello")).is_success
        await announced(client, b"hello", "a.txt")
        await parts_sent(client, web, DATA, 2)
        await parts_sent(client, web, DATA, 1)
        file = await stored(client, web, b"hello", "a.txt")
        await db.execute(
            "UPDATE files SET state = 'removing', claimed_until = $1 WHERE id = $2",
            utc_now(),
            file["id"],
        )
        shared = "files/shared.txt"
        asked = await client.post("/v1/upload-url", json={"object_key": shared})
        form = asked.json()["upload_url_dict"]
        sent = await web.post(form["url"], data=form["fields"], files={"file": b"ours"})
        assert sent.is_success
        bucket.owner.put_object(Bucket=bucket.name, Key=shared, Body=b"theirs")
        cancelled = form["fields"]["x-amz-meta-claimcheck-id"]
        assert (await client.delete(f"/v1/uploads/{cancelled}")).status_code == 204
        assert await swept(settings, PAUSED) == {"confirmed": 2, "removed": 3, "purged": 1}
        assert await swept(settings, PAUSED + timedelta(days=9)) == {"purged": 3}
        kept = {item["key"] for item in (await client.get("/v1/files")).json()["items"]}
    assert len(kept) == 2
    metadata = {"claimcheck-id": UNKNOWN_ID}
    bucket.owner.put_object(Bucket=bucket.name, Key="files/stray", Body=b"1", Metadata=metadata)
    assert sorted(bucket.left_behind()) == sorted([*kept, shared, "files/stray"])
    async with open_resources(settings, clock=lambda: utc_now() + timedelta(days=30)) as res:
        [section] = sections(settings.destinations.values())
        found = [finding async for finding in reconcile(res, section, apply=True)]
    assert [(f.kind, f.key, f.deleted) for f in found] == [
        ("foreign", shared, False),
        ("orphan", "files/stray", True),
    ]
    assert set(bucket.left_behind()) == {*kept, shared}
