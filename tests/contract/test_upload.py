"""From an announcement to a link: what arrives is what is confirmed, and what the link reads."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.contract.flow import DRESS, Flow, edited, problem, refused, sha256, turned_away
from tests.contract.stores import Feature, having, lacking, sending
from tests.support.archives import Entry, zipped
from tests.support.images import written
from tests.support.steps import without_length
from tests.support.stores import block_public_access

LARGE = b"A line of sixty-four bytes, with a number that is always 123456.\n" * 93_750  # 6 MB


@sending()
@pytest.mark.parametrize(
    ("data", "body"),
    [
        pytest.param(b"hello", {}, id="small"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(LARGE, {}, id="large"),
        pytest.param(b"hello", {"filename": "旅行 の写真 é.txt"}, id="name"),
        pytest.param(
            b"a,b", {"content_type": 'text/csv; charset="utf-8"; header=absent'}, id="type"
        ),
    ],
)
async def test_what_arrives_is_confirmed_and_read(
    flow: Flow, method: str, data: bytes, body: dict[str, Any]
) -> None:
    upload = await flow.announce(method, data, **body)
    sent = await flow.send(upload["upload"], data)
    assert sent.status_code == (201 if method == "post" else 200), sent.text
    response = await flow.confirm(upload)
    assert response.status_code == 200, response.text
    file = response.json()

    assert file["size"] == len(data)
    assert file["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
    # As announced, but for quotation marks that a parameter does not need (RFC 9110 section 5.6.6).
    assert file["content_type"] == body.get("content_type", "text/plain").replace('"', "")
    assert file["filename"] == body.get("filename", "a.txt")
    assert (file["checksum_sha256"], file["checksum_verified"]) == (None, False)
    if flow.kind.has(Feature.VERSIONS):
        assert flow.store.versions(file["key"]) == [file["version_id"]]
    else:
        assert file["version_id"] is None

    read = await flow.web.get(file["presigned_url"])
    assert (read.status_code, read.content) == (200, data)
    assert read.headers["etag"] == file["etag"]
    # What a browser could run is neither shown nor named for what it is.
    inline = file["content_type"] == "text/plain"
    expected = "text/plain; charset=utf-8" if inline else "application/octet-stream"
    assert read.headers["content-type"] == expected
    presented, _, name = read.headers["content-disposition"].partition("; filename=")
    assert (presented, bool(name)) == ("inline" if inline else "attachment", True)
    # Whoever has the link reads the metadata: it is the id, and nothing else.
    metadata = {n: v for n, v in read.headers.items() if n.startswith("x-amz-meta-")}
    assert metadata == {"x-amz-meta-claimcheck-id": file["id"]}


@sending()
@pytest.mark.parametrize("letter", ["漢", "щ", "a"])
async def test_a_name_of_255_characters(flow: Flow, method: str, letter: str) -> None:
    """Written in Latin letters it is four times as long, which some stores take for no key."""
    name = f"{letter * 251}.txt"
    file = await flow.file(method, filename=name)
    assert file["filename"] == name
    response = await flow.web.get(file["presigned_url"])
    assert (response.status_code, response.content) == (200, b"hello")
    assert quote(letter) * 251 in response.headers["content-disposition"]


@having()
async def test_a_streamed_put_needs_its_length(flow: Flow) -> None:
    upload = await flow.announce("put", size=10)

    async def stream() -> AsyncIterator[bytes]:
        yield b"hello"
        yield b"hello"

    url, headers = upload["upload"]["url"], upload["upload"]["headers"]
    bare = await flow.web.put(url, headers=without_length(headers), content=stream())
    assert bare.status_code in (403, 411), bare.text
    assert (await flow.web.put(url, headers=headers, content=stream())).is_success
    assert (await flow.confirm(upload)).json()["size"] == 10


@sending()
async def test_confirm_comes_too_early_and_then_again(flow: Flow, method: str) -> None:
    upload = await flow.announce(method)
    # Under the limited user too: without s3:ListBucket a missing key would be a 403.
    early = await flow.confirm(upload)
    problem(early, 409, "upload-not-arrived")
    assert early.headers["retry-after"] == "1"
    assert (await flow.send(upload["upload"])).is_success
    first, second = [(await flow.confirm(upload)).json() for _ in range(2)]
    for file in (first, second):
        file.pop("presigned_url")
        file.pop("presigned_url_expires_at")
    assert first == second
    assert first["state"] == "confirmed"


@sending()
async def test_the_url_finds_the_upload_as_well(flow: Flow, method: str) -> None:
    upload = await flow.announce(method)
    assert (await flow.send(upload["upload"])).is_success
    response = await flow.api.post("/v1/files", json={"url": upload["url"]})
    assert response.status_code == 200, response.text
    assert response.json()["id"] == upload["id"]
    assert await flow.read(response.json()["presigned_url"]) == b"hello"


@having(Feature.FORMS)
async def test_a_chosen_key_and_a_range_of_sizes(flow: Flow) -> None:
    key = f"chosen/{flow.kind.name}.txt"
    response = await flow.api.post("/v1/upload-url", json={"object_key": key})
    assert response.status_code == 200, response.text
    form = {"method": "POST", **response.json()["upload_url_dict"]}
    refused(await flow.send(form, b"12"), 400, "EntityTooSmall")
    refused(await flow.send(form, b"1234567"), 400, "EntityTooLarge")
    assert (await flow.send(form, b"123456")).status_code == 201
    stored = await flow.api.post("/v1/files", json={"key": key, "destination": "chosen"})
    assert (stored.status_code, stored.json()["size"]) == (200, 6)
    again = await flow.api.post("/v1/upload-url", json={"object_key": key})
    problem(again, 409, "key-taken")


# --- Headers that the destination sets


@sending()
async def test_the_destination_dresses_its_objects(flow: Flow, method: str) -> None:
    file = await flow.file(f"dressed-{method}")
    read = await flow.web.get(file["presigned_url"])
    kept = method == "put" or flow.kind.has(Feature.FORM_HEADERS)
    assert read.headers.get("cache-control") == (DRESS["cache_control"] if kept else None)
    # Links say it themselves, with the name to save under.
    assert (
        read.headers["content-disposition"] == f'{DRESS["content_disposition"]}; filename="a.txt"'
    )


# --- Checksums


@sending(Feature.CHECKSUMS)
async def test_a_checksum_is_compared_and_reported(flow: Flow, method: str) -> None:
    upload = await flow.announce(method, checksum_sha256=sha256(b"hello"))
    refused(await flow.send(upload["upload"], b"wrong"), 400, "BadDigest")
    problem(await flow.confirm(upload), 409, "upload-not-arrived")
    assert (await flow.send(upload["upload"])).is_success
    file = (await flow.confirm(upload)).json()
    told = flow.kind.has(Feature.TOLD_CHECKSUMS)
    assert (file["checksum_sha256"], file["checksum_verified"]) == (sha256(b"hello"), told)


@sending(Feature.COMPUTED_CHECKSUMS, without=Feature.CHECKSUMS)
async def test_a_checksum_that_nobody_compares_is_not_verified(flow: Flow, method: str) -> None:
    for data in (b"wrong", b"hello"):
        upload = await flow.announce(method, data, checksum_sha256=sha256(b"hello"))
        assert (await flow.send(upload["upload"], data)).is_success
        file = (await flow.confirm(upload)).json()
        assert (file["checksum_sha256"], file["checksum_verified"]) == (sha256(b"hello"), False)


@lacking(Feature.COMPUTED_CHECKSUMS)
async def test_a_store_that_repeats_the_checksum_is_not_believed(flow: Flow) -> None:
    upload = await flow.announce("put", b"wrong", checksum_sha256=sha256(b"hello"))
    assert (await flow.send(upload["upload"], b"wrong")).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert (file["checksum_sha256"], file["checksum_verified"]) == (sha256(b"hello"), False)


@sending()
async def test_another_checksum_than_announced(flow: Flow, method: str) -> None:
    upload = await flow.announce(method, checksum_sha256=sha256(b"hello"))
    other = edited(upload["upload"], {"x-amz-checksum-sha256": sha256(b"wrong")})
    refused(await flow.send(other, b"wrong"))
    assert not flow.store.holds(upload["key"])
    if method == "post":
        none = edited(upload["upload"], {"x-amz-checksum-sha256": None})
        refused(await flow.send(none), 403, "AccessDenied")
    assert (await flow.send(upload["upload"])).is_success


@having()
@pytest.mark.parametrize("method", ["put", "multipart"])
async def test_only_a_checksum_that_the_store_verified_saves_an_upload(
    flow: Flow, method: str
) -> None:
    claimed, destination = {"checksum_sha256": sha256(b"hello")}, f"once-{method}"
    compared = method == "put" and flow.kind.has(Feature.CHECKSUMS)
    liar = await flow.announce(destination, b"wrong", **claimed)
    assert (await flow.send(liar["upload"], b"wrong")).is_success is not compared
    assert (await flow.confirm(liar)).is_success is not compared
    honest = await flow.announce(destination, b"hello", **claimed)
    assert (await flow.send(honest["upload"], b"hello")).is_success
    assert (await flow.confirm(honest)).is_success
    body = {"destination": destination, "filename": "a.txt", "size": 5, **claimed}
    again = (await flow.api.post("/v1/uploads", json=body)).json()
    known = compared and flow.kind.has(Feature.TOLD_CHECKSUMS)
    assert (again["upload"] is None) is known
    assert (again["id"] == honest["id"]) is known


# --- What the bucket holds is not what was announced


@sending()
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Metadata": {}}, "not uploaded with the signed instructions"),
        ({"Metadata": {"claimcheck-id": "other"}}, "not uploaded with the signed instructions"),
        ({"Body": b"hello, world"}, "12 bytes; 5 bytes were announced"),
        ({"ContentType": "text/html"}, "is text/html; text/plain was announced"),
    ],
    ids=["no id", "other id", "size", "type"],
)
async def test_a_planted_object_is_rejected(
    flow: Flow, method: str, change: dict[str, Any], words: str
) -> None:
    upload = await flow.announce(method)
    right = {
        "Body": b"hello",
        "ContentType": "text/plain",
        "Metadata": {"claimcheck-id": upload["id"]},
    }
    flow.store.owner.put_object(Bucket=flow.store.bucket, Key=upload["key"], **(right | change))
    for _ in range(2):
        assert words in problem(await flow.confirm(upload), 422, "upload-rejected")
    state = (await flow.api.get(f"/v1/uploads/{upload['id']}")).json()
    assert state["state"] == "rejected"
    assert words in state["reason"]
    assert not flow.store.holds(upload["key"])
    # The right bytes come too late; a sweep takes them away (tests/upkeep/sweep/).
    await flow.send(upload["upload"])
    problem(await flow.confirm(upload), 422, "upload-rejected")
    cancelled = await flow.api.delete(f"/v1/uploads/{upload['id']}")
    assert cancelled.status_code == 204, cancelled.text


# --- The public access block that app.store.setup.provision sets


@having(Feature.BLOCKED_ACLS)
async def test_blocked_acls_stop_no_upload(flow: Flow) -> None:
    found = flow.store.owner.get_public_access_block(Bucket=flow.store.bucket)
    assert all(found["PublicAccessBlockConfiguration"].values())
    assert await flow.read((await flow.file("put"))["presigned_url"]) == b"hello"


@lacking(Feature.BLOCKED_ACLS, Feature.FORMS, Feature.PUBLIC_ACCESS_BLOCK)
async def test_blocked_acls_stop_every_put_and_no_form(flow: Flow) -> None:
    owner, bucket, private = flow.store.owner, flow.store.bucket, "IgnorePublicAcls"
    block_public_access(owner, bucket, private, "BlockPublicAcls")
    try:
        upload = await flow.announce("put")
        refused(await flow.send(upload["upload"]), 403, "AccessDenied")
        await flow.file("post")
    finally:
        block_public_access(owner, bucket, private, "RestrictPublicBuckets")
    assert (await flow.send(upload["upload"])).status_code == 200


@lacking(Feature.FORMS)
async def test_a_store_without_forms_stores_none(flow: Flow) -> None:
    upload = await flow.announce("post")
    assert urlsplit(upload["upload"]["url"]).path == f"/{flow.store.bucket}"
    response = await flow.send(upload["upload"])
    turned_away(flow, response)
    problem(await flow.confirm(upload), 409, "upload-not-arrived")


@having()
async def test_images_and_archives_are_examined_by_parts(flow: Flow) -> None:
    """The size of the one is behind its profile, the directory of the other before its end."""
    picture = written((640, 480), "JPEG", icc_profile=bytes(300_000))
    file = await flow.file("examined", picture, filename="a.jpg")
    assert (file["image"]["width"], file["image"]["height"]) == (640, 480)
    archive = zipped([Entry(b"n" * 900)] * 200, before=b"PK\3\4" + bytes(200_000))
    file = await flow.file("examined", archive, filename="a.zip")
    assert (file["archive"]["judged"], file["archive"]["entries"]) == (True, 200)
