"""Completion when the bucket is slow."""

import asyncio

import asyncpg
import httpx
import pytest

from app.uploads import join
from app.uploads.confirm import ANSWER_SECONDS, confirm_file
from app.uploads.join import poll_delay
from tests.support.faulty_proxy import FaultyProxy
from tests.support.steps import slug
from tests.uploads.join.steps import (
    begin,
    confirm,
    confirm_impatiently,
    is_confirmed,
    is_the_file,
    sent,
    until,
)


async def test_what_takes_long_is_accepted_and_goes_on(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    complete = proxy.disturb("Complete", "before")
    for _ in range(600):  # on a machine that is slow to come as far as the bucket, not at once
        response = await confirm_impatiently(other, upload)
        assert response.status_code == 202
        if response.json()["state"] == "completing":
            break
    await asyncio.wait_for(complete.asked.wait(), 120)
    assert int(response.headers["retry-after"]) > 0
    assert (response.json()["state"], response.json()["id"]) == ("completing", upload["id"])
    # Asked again, in whatever way, it waits with the others.
    again = await confirm_impatiently(other, upload)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(confirm_file.__kwdefaults__, "wait_seconds", 0.2)
        by_url = await other.post("/v1/files", json={"url": upload["url"]})
    for waiting in (again, by_url):
        assert (waiting.status_code, waiting.json()["state"]) == (202, "completing")
        assert int(waiting.headers["retry-after"]) > 0
    # It is nobody's to cancel, to renew or to read, and all parts have arrived.
    for refused in (
        await other.delete(f"/v1/uploads/{upload['id']}"),
        await other.post(f"/v1/uploads/{upload['id']}/renew"),
        await other.post(f"/v1/uploads/{upload['id']}/parts", json={"part_numbers": [1]}),
    ):
        assert (refused.status_code, slug(refused)) == (409, "upload-not-pending")
        assert refused.json()["state"] == "completing"
    for method in ("GET", "DELETE"):
        assert (await other.request(method, f"/v1/files/{upload['id']}")).status_code == 404
    known = (await other.get(f"/v1/uploads/{upload['id']}/parts")).json()["parts"]
    assert [part["part_number"] for part in known] == [1, 2]
    complete.released.set()
    await until(lambda: is_confirmed(other, upload))
    await is_the_file(await confirm(other, upload), web)
    assert proxy.seen.count("Complete") == 1


async def test_it_goes_on_when_the_client_goes_away(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    complete = proxy.disturb("Complete", "before")
    await begin(other, upload, complete)
    complete.released.set()
    await until(lambda: is_confirmed(other, upload))


async def test_whoever_asks_meanwhile_gets_the_same_file(
    other: httpx.AsyncClient, proxy: FaultyProxy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """In this process and in another."""
    upload = await sent(other, web)
    complete = proxy.disturb("Complete", "after")
    requests = [asyncio.create_task(confirm(other, upload))]
    await asyncio.wait_for(complete.asked.wait(), 120)
    requests += [asyncio.create_task(confirm(one, upload)) for one in (other, client, client)]
    complete.released.set()
    responses = await asyncio.gather(*requests)
    assert [response.status_code for response in responses] == [200] * 4
    assert len({response.json()["confirmed_at"] for response in responses}) == 1


async def test_the_lease_is_extended_while_the_bucket_works(
    other: httpx.AsyncClient,
    proxy: FaultyProxy,
    web: httpx.AsyncClient,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(join, "_EXTEND_EVERY", 0.02)
    upload = await sent(other, web)
    complete = proxy.disturb("Complete", "before")
    request = asyncio.create_task(confirm(other, upload))
    await asyncio.wait_for(complete.asked.wait(), 120)
    db = await asyncpg.connect(database_url)
    leases = set()

    async def extended() -> bool:
        leases.add(await db.fetchval("SELECT claimed_until FROM files"))
        return len(leases) >= 3

    await until(extended)
    assert None not in leases
    complete.released.set()
    await is_the_file(await request, web)
    assert await db.fetchval("SELECT claimed_until FROM files") is None
    await db.close()


def test_whoever_waits_long_looks_seldom() -> None:
    """Sixteen times or so in 20 seconds, and never more than a quarter later than need be."""
    looks, waited = 0, 0.0
    while waited < ANSWER_SECONDS:
        pause = poll_delay(waited)
        assert pause <= max(0.25, waited / 4)
        waited, looks = waited + pause, looks + 1
    assert looks < 25
    assert poll_delay(3_600) == 2
