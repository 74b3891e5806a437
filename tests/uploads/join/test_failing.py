"""Completion when the bucket loses answers or refuses."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.faulty_proxy import FaultyProxy
from tests.support.steps import slug
from tests.uploads.join.steps import confirm, is_the_file, sent, sent_again, state


@pytest.mark.parametrize(
    "how", ["lose", (200, "InternalError"), (500, "InternalError"), (503, "SlowDown")]
)
async def test_one_failure_is_not_the_end(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient, how: Any
) -> None:
    """Also an error under status 200 (AWS API, CompleteMultipartUpload), and a lost answer."""
    upload = await sent(other, web)
    proxy.disturb("Complete", how)
    await is_the_file(await confirm(other, upload), web)
    assert proxy.seen.count("Complete") == 2


@pytest.mark.parametrize("how", ["lose", (200, "InternalError"), (500, "InternalError")])
async def test_an_outcome_that_nobody_knows_is_found_out_later(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient, how: Any
) -> None:
    upload = await sent(other, web)
    proxy.disturb("Complete", how, times=3)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    assert await state(other, upload) == "completing"
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 409
    await is_the_file(await confirm(other, upload), web)


async def test_a_store_that_forgot_the_upload_is_asked_for_the_object(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    """AWS refuses a complete that is repeated because its answer was lost: NoSuchUpload."""
    upload = await sent(other, web)
    proxy.disturb("Complete", "lose")
    proxy.disturb("Complete", (404, "NoSuchUpload"))
    await is_the_file(await confirm(other, upload), web)


async def test_a_store_that_is_not_done_yet_ends_no_upload(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    """rclone forgets the upload before it has written the object."""
    upload = await sent(other, web)
    proxy.disturb("Complete", (404, "NoSuchUpload"), times=3)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    proxy.disturb("ListParts", (404, "NoSuchUpload"))
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    assert await state(other, upload) == "completing"
    await is_the_file(await confirm(other, upload), web)


@pytest.mark.parametrize(
    ("said", "status", "problem"),
    [
        ((400, "InvalidPart"), 409, "upload-not-arrived"),
        ((403, "AccessDenied"), 502, "bucket-refused"),
    ],
)
async def test_what_the_bucket_refuses_is_as_it_was(
    other: httpx.AsyncClient,
    proxy: FaultyProxy,
    web: httpx.AsyncClient,
    said: Any,
    status: int,
    problem: str,
) -> None:
    upload = await sent(other, web)
    proxy.disturb("Complete", said)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (status, problem)
    assert await state(other, upload) == "pending"
    again = await sent_again(other, upload, web)
    await is_the_file(await confirm(other, again), web)


async def test_what_was_refused_can_be_cancelled(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    proxy.disturb("Complete", (403, "AccessDenied"))
    assert (await confirm(other, upload)).status_code == 502
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 204


async def test_parts_that_come_while_they_are_dropped_are_dropped_too(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    # As if a part had come in proxy: the store still lists some after the first abort.
    proxy.disturb("Abort", (204, "none"))
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    assert proxy.seen.count("Abort") == 2


async def test_a_removal_is_not_confirmed_meanwhile(
    other: httpx.AsyncClient, proxy: FaultyProxy, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    abort = proxy.disturb("Abort", "before")
    removal = asyncio.create_task(other.delete(f"/v1/uploads/{upload['id']}"))
    await asyncio.wait_for(abort.asked.wait(), 120)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (409, "upload-not-pending")
    abort.released.set()
    assert (await removal).status_code == 204
    assert slug(await confirm(other, upload)) == "upload-not-found"


async def test_a_removal_between_the_list_and_the_claim_wins(
    other: httpx.AsyncClient, proxy: FaultyProxy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    listing = proxy.disturb("ListParts", "after")
    request = asyncio.create_task(confirm(other, upload))
    await asyncio.wait_for(listing.asked.wait(), 120)
    assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    listing.released.set()
    response = await request
    assert (response.status_code, slug(response)) == (404, "upload-not-found")
    assert "Complete" not in proxy.seen
