"""Bytes are held to the MD5 that was announced for them, on their way and at confirm."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from app.core.integrity import bare, joined_etag
from app.core.parts import MIB
from tests.contract.flow import Flow, problem, refused
from tests.contract.stores import Feature, having, lacking
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.steps import without_length

PART = 5 * MIB
DATA = bytes(range(32, 96)) * (PART // 64) + b"the end"
PARTS = [DATA[:PART], DATA[PART:]]


def digest(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def md5(data: bytes) -> str:
    return base64.b64encode(digest(data)).decode()


async def ask(flow: Flow, upload: dict[str, Any], parts: dict[int, bytes]) -> httpx.Response:
    """The part URLs, for these bytes by number."""
    body = {"part_numbers": [*parts], "checksums_md5": [md5(data) for data in parts.values()]}
    return await flow.api.post(f"/v1/uploads/{upload['id']}/parts", json=body)


async def signed(flow: Flow, upload: dict[str, Any], parts: dict[int, bytes]) -> Any:
    answer = await ask(flow, upload, parts)
    assert answer.status_code == 200, answer.text
    return answer.json()["parts"]


async def put(
    flow: Flow, given: dict[str, Any], data: bytes, proxy: FaultyProxy | None = None
) -> httpx.Response:
    """Send it as it was signed, or by way of the proxy."""
    headers, url = without_length(given["headers"]), httpx.URL(given["url"])
    if proxy is None:
        return await flow.web.put(str(url), headers=headers, content=data)
    host = url.netloc.decode()
    through = given["url"].replace(f"http://{host}", proxy.address, 1)
    return await flow.web.put(through, headers={**headers, "Host": host}, content=data)


async def known(flow: Flow, upload: dict[str, Any]) -> dict[int, str | None]:
    listed = (await flow.api.get(f"/v1/uploads/{upload['id']}/parts")).json()
    return {part["part_number"]: part["checksum_md5"] for part in listed["parts"]}


async def confirmed(flow: Flow, upload: dict[str, Any]) -> Any:
    answer = await flow.confirm(upload)
    assert answer.status_code == 200, answer.text
    return answer.json()


@having(Feature.CONTENT_MD5, Feature.PARTS_AGAIN)
async def test_a_byte_that_is_flipped_on_its_way_is_refused_and_sent_again(flow: Flow) -> None:
    upload = await flow.announce("md5-multipart", DATA)
    assert upload["upload"]["integrity"] == "md5"
    assert upload["upload"]["parts"] == []
    parts = await signed(flow, upload, {1: PARTS[0], 2: PARTS[1]})
    async with faulty_proxy(parts[0]["url"]) as proxy:
        for part, data in zip(parts, PARTS, strict=True):
            proxy.disturb("PUT", "flip")
            refused(await put(flow, part, data, proxy), 400)
            assert part["part_number"] not in await known(flow, upload)
            assert (await put(flow, part, data, proxy)).status_code == 200
    assert await known(flow, upload) == {1: md5(PARTS[0]), 2: md5(PARTS[1])}
    file = await confirmed(flow, upload)
    assert file["parts_verified"] is True
    if flow.kind.has(Feature.MD5_ETAGS):
        assert bare(file["etag"]) == joined_etag([digest(part) for part in PARTS])
    assert await flow.read(file["presigned_url"]) == DATA


@lacking(Feature.PARTS_AGAIN)
async def test_a_store_that_drops_an_upload_for_one_part_loses_no_file(flow: Flow) -> None:
    upload = await flow.announce("md5-multipart", b"hello")
    [part] = await signed(flow, upload, {1: b"hello"})
    refused(await put(flow, part, b"jello"), 400, "BadDigest")
    refused(await put(flow, part, b"hello"), 404, "NoSuchUpload")
    problem(await flow.confirm(upload), 422, "upload-rejected")
    anew = await flow.announce("md5-multipart", b"hello")
    [part] = await signed(flow, anew, {1: b"hello"})
    assert (await put(flow, part, b"hello")).status_code == 200
    assert (await confirmed(flow, anew))["parts_verified"] is True


@having(Feature.CONTENT_MD5)
@pytest.mark.parametrize("headers", [{}, {"content-md5": md5(b"other")}], ids=["none", "other"])
async def test_a_part_without_its_md5_is_refused(flow: Flow, headers: dict[str, str]) -> None:
    """Whoever holds the URL cannot leave the check off, nor change what is checked."""
    upload = await flow.announce("md5-multipart", b"hello")
    [part] = await signed(flow, upload, {1: b"hello"})
    refused(await put(flow, part | {"headers": headers}, b"hello"), 403)
    refused(await put(flow, part | {"headers": headers}, b"other"), 403)
    assert await known(flow, upload) == {}
    assert (await put(flow, part, b"hello")).status_code == 200
    assert (await confirmed(flow, upload))["parts_verified"] is True


@having()
async def test_another_file_of_the_same_name_never_gets_into_it(flow: Flow) -> None:
    upload = await flow.announce("md5-multipart", DATA)
    [first] = await signed(flow, upload, {1: PARTS[0]})
    assert (await put(flow, first, PARTS[0])).status_code == 200
    # A page that was loaded anew asks what is there, and sees that it is not its own.
    assert await known(flow, upload) == {1: md5(PARTS[0])}
    other = b"x" * PART
    answer = await ask(flow, upload, {1: other, 2: b"another"})
    problem(answer, 409, "part-differs")
    assert answer.json()["part_numbers"] == [1]
    # Nothing of that request was noted: the second part is still to be announced.
    [second] = await signed(flow, upload, {2: PARTS[1]})
    assert (await put(flow, second, PARTS[1])).status_code == 200
    file = await confirmed(flow, upload)
    assert file["parts_verified"] is True
    assert await flow.read(file["presigned_url"]) == DATA


@having()
@pytest.mark.parametrize("data", [b"", b"hello"], ids=["empty", "small"])
async def test_a_put_is_held_to_its_md5(flow: Flow, data: bytes) -> None:
    problem(await refused_announcement(flow, "md5-put", data), 422, "checksum-required")
    upload = await flow.announce("md5-put", data, checksum_md5=md5(data))
    given = upload["upload"]
    assert given["headers"]["content-md5"] == md5(data)
    if data and flow.kind.has(Feature.CONTENT_MD5):
        async with faulty_proxy(given["url"]) as proxy:
            proxy.disturb("PUT", "flip")
            refused(await put(flow, given, data, proxy), 400)
        bare_headers = {n: v for n, v in given["headers"].items() if n != "content-md5"}
        refused(await put(flow, given | {"headers": bare_headers}, data), 403)
    assert (await put(flow, given, data)).is_success
    file = await confirmed(flow, upload)
    assert file["parts_verified"] is True
    assert await flow.read(file["presigned_url"]) == data


async def refused_announcement(flow: Flow, destination: str, data: bytes) -> httpx.Response:
    body = {"destination": destination, "filename": "a.txt", "size": len(data)}
    return await flow.api.post("/v1/uploads", json=body)


@having(Feature.FORMS, Feature.MD5_ETAGS)
async def test_a_form_is_compared_when_it_is_confirmed(flow: Flow) -> None:
    problem(await refused_announcement(flow, "md5-post", b"hello"), 422, "checksum-required")
    upload = await flow.announce("md5-post", checksum_md5=md5(b"hello"))
    assert (await flow.send(upload["upload"], b"hello")).is_success
    assert (await confirmed(flow, upload))["parts_verified"] is True
    upload = await flow.announce("md5-post", checksum_md5=md5(b"hello"))
    assert (await flow.send(upload["upload"], b"jello")).is_success
    problem(await flow.confirm(upload), 422, "upload-rejected")
    assert not flow.store.holds(upload["key"])


@having()
async def test_files_without_integrity_claim_nothing(flow: Flow) -> None:
    upload = await flow.announce("multipart", b"hello", checksum_md5=md5(b"other"))
    assert "integrity" not in upload["upload"]
    [part] = await signed(flow, upload, {1: b"other"})
    assert "headers" not in part
    assert (await flow.send(upload["upload"])).is_success
    assert (await confirmed(flow, upload))["parts_verified"] is False
