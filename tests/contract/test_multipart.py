"""Multipart uploads on every store: parts go where they were signed for, and are joined once."""

import contextlib
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core.parts import MIB
from app.store.signer import utc_now
from tests.contract.flow import DRESS, Flow, flipped, problem, refused, replacing, sha256
from tests.contract.stores import Feature, having, lacking

PART = 5 * MIB
DATA = bytes(range(32, 96)) * (2 * PART // 64) + b"the end"


async def send_part(flow: Flow, upload: dict[str, Any], number: int, data: bytes) -> Any:
    """One part, of whatever length, to the URL it was signed for."""
    [url] = [p["url"] for p in upload["upload"]["parts"] if p["part_number"] == number]
    return await flow.web.put(url, content=data)


async def known(flow: Flow, upload: dict[str, Any]) -> dict[int, int]:
    """Sizes by part number."""
    response = await flow.api.get(f"/v1/uploads/{upload['id']}/parts")
    assert response.status_code == 200, response.text
    parts = response.json()["parts"]
    sizes = {part["part_number"]: part["size"] for part in parts}
    assert len(sizes) == len(parts), parts
    return sizes


def under_way(flow: Flow, upload: dict[str, Any]) -> list[str]:
    """The key's multipart uploads that the store has."""
    said = flow.store.owner.list_multipart_uploads(Bucket=flow.store.bucket, Prefix=upload["key"])
    return [one["UploadId"] for one in said.get("Uploads", [])]


@having()
@pytest.mark.parametrize("data", [b"", b"hello", DATA], ids=["empty", "small", "parts"])
async def test_what_arrives_in_parts_is_confirmed_and_read(flow: Flow, data: bytes) -> None:
    upload = await flow.announce("multipart", data, "旅行 é.txt")
    assert (await flow.send(upload["upload"], data)).status_code == 200
    assert not flow.store.holds(upload["key"])
    response = await flow.confirm(upload)
    assert response.status_code == 200, response.text
    file = response.json()
    assert (file["size"], file["content_type"]) == (len(data), "text/plain")
    assert file["sealed"] == flow.kind.seals("multipart")
    read = await flow.web.get(file["presigned_url"])
    assert (read.status_code, read.content) == (200, data)
    metadata = {n: v for n, v in read.headers.items() if n.startswith("x-amz-meta-")}
    assert metadata == {"x-amz-meta-claimcheck-id": file["id"]}
    assert under_way(flow, upload) == []
    again = (await flow.confirm(upload)).json()
    assert (again["confirmed_at"], again["etag"]) == (file["confirmed_at"], file["etag"])


@having()
async def test_parts_come_in_any_order_and_twice(flow: Flow) -> None:
    upload = await flow.announce("multipart", DATA)
    for number in (3, 1, 1):
        data = DATA[(number - 1) * PART : number * PART]
        assert (await send_part(flow, upload, number, data)).status_code == 200
    assert await known(flow, upload) == {1: PART, 3: 7}
    problem(await flow.confirm(upload), 409, "upload-not-arrived")
    assert (await flow.confirm(upload)).json()["missing_parts"] == [2]
    assert (await send_part(flow, upload, 2, DATA[PART : 2 * PART])).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == DATA
    assert await known(flow, upload) == {1: PART, 2: PART, 3: 7}


@having(Feature.REPLACED_PARTS)
async def test_of_a_part_that_was_sent_twice_the_newer_counts(flow: Flow) -> None:
    """SeaweedFS lists both of them, and would join either."""
    upload = await flow.announce("multipart", DATA)
    first = {1: DATA[:PART], 2: DATA[PART : 2 * PART], 3: DATA[2 * PART :]}
    # The order of the ETags is not to matter.
    for number, data in (first | {1: first[1][::-1], 2: first[2][::-1]}).items():
        assert (await send_part(flow, upload, number, data)).status_code == 200
    for number in (2, 1):
        assert (await send_part(flow, upload, number, first[number])).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == DATA


@lacking(Feature.REPLACED_PARTS)
async def test_a_store_that_replaces_no_part_keeps_the_older(flow: Flow) -> None:
    upload = await flow.announce("multipart", b"hello")
    assert (await send_part(flow, upload, 1, b"hello")).status_code == 200
    refused(await send_part(flow, upload, 1, b"jello"), 501, "NotImplemented")
    assert (await send_part(flow, upload, 1, b"hello")).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == b"hello"


@having()
async def test_a_part_of_another_length_is_refused(flow: Flow) -> None:
    upload = await flow.announce("multipart", b"hello")
    for data in (b"", b"hell", b"hello!"):
        refused(await send_part(flow, upload, 1, data), 403)
    assert await known(flow, upload) == {}
    assert (await send_part(flow, upload, 1, b"hello")).status_code == 200
    assert (await flow.confirm(upload)).status_code == 200


@having()
async def test_a_part_goes_nowhere_else(flow: Flow) -> None:
    upload, other = [await flow.announce("multipart", DATA) for _ in range(2)]
    theirs = other["upload"]["parts"][0]["url"].partition("uploadId=")[2].partition("&")[0]
    for change in (
        flipped,
        replacing("--a.txt", "--b.txt"),
        replacing("partNumber=3", "partNumber=4"),
        replacing(r"uploadId=[^&]+", f"uploadId={theirs}"),
        replacing(r"partNumber=3&uploadId=[^&]+&?", ""),
    ):
        url = change(upload["upload"]["parts"][2]["url"])
        refused(await flow.web.put(url, content=DATA[-7:]), 403)
    assert await known(flow, upload) == await known(flow, other) == {}


@having()
async def test_part_urls_expire_and_are_signed_anew(flow: Flow) -> None:
    with flow.clock.ahead(hours=-2):
        upload = await flow.announce("multipart", b"hello")
    refused(await flow.send(upload["upload"]), *flow.kind.expired)
    response = await flow.api.post(f"/v1/uploads/{upload['id']}/parts", json={"part_numbers": [1]})
    [part] = response.json()["parts"]
    assert (await flow.web.put(part["url"], content=b"hello")).status_code == 200
    assert (await flow.confirm(upload)).status_code == 200


@having()
async def test_the_destination_dresses_what_is_joined(flow: Flow) -> None:
    file = await flow.file("dressed-multipart")
    read = await flow.web.get(file["presigned_url"])
    assert read.headers["cache-control"] == DRESS["cache_control"]
    # Links say it themselves, with the name to save under.
    assert (
        read.headers["content-disposition"] == f'{DRESS["content_disposition"]}; filename="a.txt"'
    )


@having()
async def test_the_checksum_of_a_whole_is_not_verified_by_its_parts(flow: Flow) -> None:
    file = await flow.file("multipart", checksum_sha256=sha256(b"hello"))
    assert (file["checksum_sha256"], file["checksum_verified"]) == (sha256(b"hello"), False)


# --- After the end


@lacking(Feature.DEAD_PARTS)
async def test_parts_that_live_on_are_no_seal(flow: Flow) -> None:
    """The object is its parts: one that is sent again spoils the file, version or not."""
    file_of = await flow.announce("multipart", b"hello")
    assert (await flow.send(file_of["upload"], b"hello")).status_code == 200
    file = (await flow.confirm(file_of)).json()
    assert file["sealed"] == "no"
    assert (await send_part(flow, file_of, 1, b"other")).status_code == 200
    assert (await flow.web.get(file["presigned_url"])).content != b"hello"


@having(Feature.DEAD_PARTS)
async def test_part_urls_are_dead_after_completion(flow: Flow) -> None:
    """On every store, with versions or without: what is confirmed is sealed."""
    upload = await flow.announce("multipart", DATA)
    assert (await flow.send(upload["upload"], DATA)).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert file["sealed"] != "no"
    refused(await send_part(flow, upload, 3, b"x" * 7), 404, "NoSuchUpload")
    for number in (1, 2):
        # rclone hangs up on a large body, and gives no answer.
        with contextlib.suppress(httpx.TransportError):
            refused(await send_part(flow, upload, number, b"x" * PART), 404, "NoSuchUpload")
    renewed = await flow.api.post(f"/v1/uploads/{upload['id']}/renew")
    problem(renewed, 409, "upload-not-pending")
    again = (await flow.confirm(upload)).json()
    assert again["etag"] == file["etag"]
    for url in (file["presigned_url"], again["presigned_url"], await flow.link(file)):
        assert await flow.read(url) == DATA


@having()
async def test_cancelling_drops_the_parts(flow: Flow) -> None:
    upload = await flow.announce("multipart", DATA)
    assert (await flow.send(upload["upload"], DATA)).status_code == 200
    # A second upload of the key, which a lost answer left behind.
    flow.store.owner.create_multipart_upload(Bucket=flow.store.bucket, Key=upload["key"])
    assert len(under_way(flow, upload)) == 2
    for _ in range(2):
        cancelled = await flow.api.delete(f"/v1/uploads/{upload['id']}")
        assert cancelled.status_code == 204, cancelled.text
    assert under_way(flow, upload) == []
    refused(await send_part(flow, upload, 3, DATA[-7:]), 404, "NoSuchUpload")
    assert not flow.store.holds(upload["key"])
    problem(await flow.confirm(upload), 404, "upload-not-found")


@having()
async def test_a_removed_file_that_came_in_parts_is_gone(flow: Flow) -> None:
    file = await flow.file("multipart")
    removed = await flow.api.delete(f"/v1/files/{file['id']}", params={"object": "delete"})
    assert removed.status_code == 204, removed.text
    assert not flow.store.holds(file["key"])
    refused(await flow.web.get(file["presigned_url"]), 404)


@having()
async def test_parts_that_the_store_dropped_end_the_upload(flow: Flow) -> None:
    upload = await flow.announce("multipart", b"hello")
    assert (await flow.send(upload["upload"])).status_code == 200
    [upload_id] = under_way(flow, upload)
    flow.store.owner.abort_multipart_upload(
        Bucket=flow.store.bucket, Key=upload["key"], UploadId=upload_id
    )
    problem(await flow.confirm(upload), 422, "upload-rejected")


@having()
async def test_the_store_tells_when_an_upload_was_begun(flow: Flow) -> None:
    """By which the sweep knows another program's; none is so where moto says 2010 of all."""
    upload = await flow.announce("multipart")
    said = flow.store.owner.list_multipart_uploads(Bucket=flow.store.bucket, Prefix=upload["key"])
    age = utc_now() - said["Uploads"][0]["Initiated"]
    assert timedelta(hours=-1) < age
    assert age < timedelta(hours=1) or flow.kind.name.startswith("gate")


@having()
async def test_an_upload_that_was_joined_behind_our_back_is_confirmed(flow: Flow) -> None:
    """A complete whose answer was lost, with the process that had asked."""
    upload = await flow.announce("multipart", b"hello")
    sent = await flow.send(upload["upload"])
    [upload_id] = under_way(flow, upload)
    flow.store.owner.complete_multipart_upload(
        Bucket=flow.store.bucket,
        Key=upload["key"],
        UploadId=upload_id,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": sent.headers["etag"]}]},
    )
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == b"hello"


@having(Feature.MANY_PARTS)
async def test_more_parts_than_one_page_of_the_store(flow: Flow) -> None:
    upload = await flow.announce("multipart", b"hello")
    [upload_id] = under_way(flow, upload)
    where = {"Bucket": flow.store.bucket, "Key": upload["key"], "UploadId": upload_id}
    for number in range(1, 1102):
        flow.store.owner.upload_part(**where, PartNumber=number, Body=b"x")
    assert await known(flow, upload) == dict.fromkeys(range(1, 1102), 1)
    assert (await flow.api.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    assert under_way(flow, upload) == []
