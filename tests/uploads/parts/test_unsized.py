"""Uploads in parts whose size nobody knows before the end."""

from typing import Any

import httpx
import pytest

from app.core.principal import DEV
from app.errors import (
    BucketUnavailable,
    ContentTypeNotAllowed,
    UnknownDestination,
    UnknownPart,
    UploadNotArrived,
    UploadRejected,
)
from app.models.files import File
from app.runtime.resources import Resources
from app.settings.model import Settings
from app.store.objects import ObjectHandle
from app.uploads import join
from app.uploads.announce import announce_unsized
from app.uploads.confirm import confirm_upload
from app.uploads.parts import list_parts, sign_parts
from app.uploads.remove import cancel_upload
from tests.support.steps import slug
from tests.uploads.parts.steps import DATA, PART, under_way


async def unsized(res: Resources, web: httpx.AsyncClient, *data: bytes) -> File:
    """An upload with these parts."""
    file = await announce_unsized(res, DEV, "some", "a.txt", None)
    wanted = list(range(1, len(data) + 1))
    if wanted:
        signed = await sign_parts(res, DEV, file.id, wanted)
        for part, content in zip(signed.parts, data, strict=True):
            assert part.size is None
            assert (await web.put(part.url, content=content)).status_code == 200
    return file


async def test_an_upload_whose_size_nobody_said(
    res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await unsized(res, web, DATA[:PART], DATA[PART:])
    assert (file.size, file.part_size, file.content_type) == (None, None, "text/plain")
    known = await list_parts(res, DEV, file.id)
    assert (known.part_size, known.part_count) == (None, None)
    assert [(p.part_number, p.size) for p in known.parts] == [(1, PART), (2, len(DATA) - PART)]
    confirmed = await confirm_upload(res, DEV, file.id, wait_seconds=None, part_count=2)
    assert (confirmed.size, confirmed.state) == (len(DATA), "confirmed")
    read = (await client.get(f"/v1/files/{file.id}")).json()["presigned_url"]
    assert (await web.get(read)).content == DATA
    # Afterwards as if they had been cut as the first one was.
    known = await list_parts(res, DEV, file.id)
    assert sum(part.size for part in known.parts) == len(DATA)


async def test_only_its_client_knows_when_all_of_it_is_there(
    res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await unsized(res, web, DATA[:PART])
    for confirm in (
        client.post(f"/v1/uploads/{file.id}/confirm"),
        client.post("/v1/files", json={"destination": "some", "key": file.key}),
        client.post("/v1/files", json={"url": file.url}),
    ):
        response = await confirm
        assert (response.status_code, slug(response)) == (409, "upload-not-arrived")
        assert "its client completes the upload" in response.json()["detail"]
    assert (await client.get(f"/v1/uploads/{file.id}")).json()["state"] == "pending"
    assert (await confirm_upload(res, DEV, file.id, part_count=1)).size == PART


async def test_whoever_takes_over_joins_the_same_parts(
    res: Resources, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await unsized(res, web, DATA[:PART])
    later = (await sign_parts(res, DEV, file.id, [2])).parts[0]

    async def down(*_: Any) -> None:
        raise BucketUnavailable("It is down.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "complete_upload", down)
        patch.setattr(join, "_RETRY_DELAYS", ())
        with pytest.raises(BucketUnavailable):
            await confirm_upload(res, DEV, file.id, part_count=1)
    assert (await web.put(later.url, content=b"of another attempt")).status_code == 200
    # Whoever it is, and whatever they believe.
    assert (await confirm_upload(res, DEV, file.id, part_count=2)).size == PART


async def test_its_parts_have_the_numbers_that_s3_knows(res: Resources) -> None:
    file = await announce_unsized(res, DEV, "some", "a.txt", None)
    signed = await sign_parts(res, DEV, file.id, [1, 10_000])
    assert [part.part_number for part in signed.parts] == [1, 10_000]
    for number in (0, 10_001):
        with pytest.raises(UnknownPart):
            await sign_parts(res, DEV, file.id, [number])


@pytest.mark.parametrize(
    ("data", "says"),
    [([b"x" * 9], "9 bytes is less"), ([DATA[:PART], DATA[PART:], b"x"], "is more than")],
    ids=["too small", "too large"],
)
async def test_a_sum_out_of_range_is_refused_and_dropped(
    res: Resources,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    data: list[bytes],
    says: str,
) -> None:
    file = await unsized(res, web, *data)
    for _ in range(2):
        with pytest.raises(UploadRejected, match=says):
            await confirm_upload(res, DEV, file.id, part_count=len(data))
    assert await under_way(s3, settings) == []
    found = await s3.list_objects_v2(Bucket=file.bucket, Prefix=file.key)
    assert found["KeyCount"] == 0


async def test_parts_that_could_not_be_dropped_are_dropped_by_whoever_comes_next(
    res: Resources,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after a kill: an upload is not rejected before its parts are gone."""
    file = await unsized(res, web, b"x" * 9)

    async def down(*_: Any) -> None:
        raise BucketUnavailable("It is down.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "abort_uploads", down)
        with pytest.raises(BucketUnavailable):
            await confirm_upload(res, DEV, file.id, part_count=1)
    assert len(await under_way(s3, settings)) == 1
    with pytest.raises(UploadRejected, match="9 bytes is less"):
        await confirm_upload(res, DEV, file.id)
    assert await under_way(s3, settings) == []


async def test_gaps_and_nothing_at_all_have_not_arrived(
    res: Resources, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    file = await unsized(res, web)
    with pytest.raises(UploadNotArrived, match="lacks 3 parts"):
        await confirm_upload(res, DEV, file.id, part_count=3)
    signed = await sign_parts(res, DEV, file.id, [3])
    assert (await web.put(signed.parts[0].url, content=b"the last")).status_code == 200
    with pytest.raises(UploadNotArrived, match="1, 2") as caught:
        await confirm_upload(res, DEV, file.id, part_count=3)
    assert caught.value.extensions["missing_parts"] == [1, 2]
    await cancel_upload(res, DEV, file.id)
    assert await under_way(s3, settings) == []


async def test_the_destinations_rules_hold_without_a_size(res: Resources) -> None:
    with pytest.raises(ContentTypeNotAllowed):
        await announce_unsized(res, DEV, "some", "a.png", "image/png")
    with pytest.raises(UnknownDestination):
        await announce_unsized(res, DEV, "nowhere", "a.txt", None)


async def test_parts_that_are_too_small_to_be_joined_are_refused_in_words(
    res: Resources, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    file = await unsized(res, web, b"x" * 1024, DATA[:PART], b"the end")
    for _ in range(2):
        with pytest.raises(UploadRejected, match=r"parts of at least 5 MiB.*part 1 has 1 KiB"):
            await confirm_upload(res, DEV, file.id, part_count=3)
    assert await under_way(s3, settings) == []
