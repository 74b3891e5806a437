"""Completion when the service ends or is killed meanwhile."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.runtime import resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from tests.support.faulty_proxy import FaultyProxy
from tests.support.service import owner_of_bucket, running, served
from tests.uploads.join.steps import (
    DATA,
    begin,
    confirm,
    confirm_impatiently,
    is_the_file,
    not_uploads_of,
    sent,
    sent_again,
    state,
    until,
    uploads_of,
)


async def test_a_process_that_ends_gives_the_completion_back(
    proxied: dict[str, str],
    proxy: FaultyProxy,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "_DRAIN_SECONDS", 0.1)
    complete = proxy.disturb("Complete", "before")
    async with running(load_settings(proxied)) as ending:
        upload = await sent(ending, web)
        await begin(ending, upload, complete)
        assert (await confirm_impatiently(ending, upload)).status_code == 202
    assert await state(client, upload) == "completing"
    # At once, without waiting for the end of the lease.
    await is_the_file(await confirm(client, upload), web)


async def test_a_process_that_ends_finishes_what_it_can(
    proxied: dict[str, str],
    proxy: FaultyProxy,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "_DRAIN_SECONDS", 60)
    complete = proxy.disturb("Complete", "before")
    async with running(load_settings(proxied)) as ending:
        upload = await sent(ending, web)
        await begin(ending, upload, complete)
        assert (await confirm_impatiently(ending, upload)).status_code == 202
        asyncio.get_running_loop().call_later(0.1, complete.released.set)
    assert await state(client, upload) == "confirmed"


@pytest.mark.parametrize("how", ["before", "after"])
async def test_killed_while_the_bucket_begins_the_upload(
    proxied: dict[str, str],
    proxy: FaultyProxy,
    settings: Settings,
    database_url: str,
    web: httpx.AsyncClient,
    tmp_path: Path,
    how: Any,
) -> None:
    """The row stands; what the store made of it is found by the key."""
    create = proxy.disturb("Create", how)
    async with served(proxied, tmp_path / "log") as service:
        body = {"destination": "large", "filename": "a.bin", "size": len(DATA)}
        request = asyncio.create_task(service.client.post("/v1/uploads", json=body))
        await asyncio.wait_for(create.asked.wait(), 120)
        if how == "after":
            async with owner_of_bucket(settings) as s3:
                await until(lambda: uploads_of(s3, settings))
        await service.kill()
        with pytest.raises(httpx.TransportError):
            await request
    db = await asyncpg.connect(database_url)
    upload = {"id": await db.fetchval("SELECT id FROM files WHERE state = 'pending'")}
    assert await db.fetchval("SELECT store_upload_id FROM files") is None
    await db.close()
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        early = await confirm(client, upload)
        assert (early.status_code, early.json()["missing_parts"]) == (409, [1, 2])
        before = await uploads_of(s3, settings)
        assert len(before) == (1 if how == "after" else 0)
        await sent_again(client, upload, web)
        now = await uploads_of(s3, settings)
        assert len(now) == 1
        assert before in ([], now)
        await is_the_file(await confirm(client, upload), web)
        assert await uploads_of(s3, settings) == []


@pytest.mark.parametrize("how", ["before", "after"])
async def test_killed_while_the_bucket_joins_the_parts(
    proxied: dict[str, str],
    proxy: FaultyProxy,
    settings: Settings,
    web: httpx.AsyncClient,
    tmp_path: Path,
    how: Any,
) -> None:
    complete = proxy.disturb("Complete", how)
    async with served(proxied, tmp_path / "log") as service:
        upload = await sent(service.client, web)
        request = asyncio.create_task(confirm(service.client, upload))
        await asyncio.wait_for(complete.asked.wait(), 120)
        if how == "after":
            async with owner_of_bucket(settings) as s3:
                await until(lambda: not_uploads_of(s3, settings))
        await service.kill()
        with pytest.raises(httpx.TransportError):
            await request
    async with running(settings) as client:
        # Claimed until the lease ends.
        assert (await confirm_impatiently(client, upload)).status_code == 202
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 409
    later = utc_now() + timedelta(seconds=61)
    async with running(settings, clock=lambda: later) as client:
        file = await confirm(client, upload)
        assert (file.status_code, file.json()["state"]) == (200, "confirmed")
    async with running(settings) as client:
        await is_the_file(await confirm(client, upload), web)


async def test_two_that_begin_the_same_upload_agree_on_one(
    other: httpx.AsyncClient,
    proxy: FaultyProxy,
    client: httpx.AsyncClient,
    settings: Settings,
    database_url: str,
    web: httpx.AsyncClient,
) -> None:
    """A slow announcement, and somebody who renews it meanwhile."""
    create = proxy.disturb("Create", "before")
    body = {"destination": "large", "filename": "a.bin", "size": len(DATA)}
    slow = asyncio.create_task(other.post("/v1/uploads", json=body))
    await asyncio.wait_for(create.asked.wait(), 120)
    db = await asyncpg.connect(database_url)
    upload = {"id": await db.fetchval("SELECT id FROM files")}
    await db.close()
    await sent_again(client, upload, web)
    create.released.set()
    assert (await slow).status_code == 201
    async with owner_of_bucket(settings) as s3:
        assert len(await uploads_of(s3, settings)) == 1
    await is_the_file(await confirm(client, upload), web)
