"""Upload sessions and what nobody has announced the size of: parts, PUTs, and Uppy's metadata."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.parts import lay_out_as_uppy
from app.core.principal import Principal, Scope
from app.errors import BucketUnavailable
from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.store.objects import ObjectHandle
from app.uploads.unsized import end_key
from tests.access.upload_sessions.steps import holding, used
from tests.support.service import Clock, bearer, key_for, owner_of_bucket, running
from tests.support.steps import minted, slug
from tests.support.upkeep import swept

MIB = 1024**2
PART = 5 * MIB


async def begin(browser: httpx.AsyncClient, **metadata: Any) -> httpx.Response:
    body = {"filename": "a.bin", "type": "application/octet-stream", "metadata": metadata}
    return await browser.post("/uppy/s3/multipart", json=body)


async def begun(browser: httpx.AsyncClient, **metadata: Any) -> str:
    """The path of a new upload."""
    answer = await begin(browser, **metadata)
    assert answer.status_code == 200, answer.text
    return f"/uppy/s3/multipart/{answer.json()['uploadId']}"


async def sent(
    browser: httpx.AsyncClient, web: httpx.AsyncClient, path: str, number: int, size: int
) -> str:
    signed = await browser.get(f"{path}/{number}")
    assert signed.status_code == 200, signed.text
    url: str = signed.json()["url"]
    assert (await web.put(url, content=b"x" * size)).status_code == 200
    return url


async def refused(answer: httpx.Response, status: int = 403) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    # Uppy 5 shows this.
    assert body["message"] == body["detail"]
    return body


def complete(count: int) -> dict[str, Any]:
    return {"parts": [{"PartNumber": number, "ETag": "x"} for number in range(1, count + 1)]}


async def under_way(settings: Settings) -> int:
    async with owner_of_bucket(settings) as s3:
        found = await s3.list_multipart_uploads(Bucket=settings.destinations["files"].bucket)
    return len(found.get("Uploads", []))


async def test_what_has_no_size_takes_a_session_that_says_so(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, max_files=9)
    assert session["unsized"] is False
    async with holding(shop, session["token"]) as browser:
        for size in ({}, {"size": None}, {"size": "undefined"}, {"size": "XL"}, {"size": -1}):
            body = await refused(await begin(browser, **size), 422)
            assert (body["code"], "unsized: true" in body["detail"]) == ("size-required", True)
            assert "size: file.size" in body["detail"]
    assert await used(shop, session) == (0, 0)
    puts = settings.destinations["files"].model_copy(update={"method": "put"})
    settings = settings.model_copy(update={"destinations": {"files": puts}})
    async with running(settings) as service:
        service.headers.update(bearer(session["token"]) | {"Accept": "application/json"})
        assert slug(await service.get("/uppy/s3/params?filename=a.bin")) == "size-required"
        sized = await service.get("/uppy/s3/params?filename=a.bin&metadata[size]=7")
        assert sized.json()["headers"]["content-length"] == "7"
    assert await used(shop, session) == (1, 7)
    async with owner_of_bucket(settings) as s3:
        assert "Uploads" not in await s3.list_multipart_uploads(Bucket=puts.bucket)


async def test_a_session_that_was_made_before_signs_no_parts(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, unsized=True)
    async with holding(shop, session["token"]) as browser:
        path = await begun(browser)
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        await connection.execute("UPDATE upload_sessions SET unsized = false")
        await connection.close()
        assert slug(await browser.get(f"{path}/1")) == "size-required"


@pytest.mark.parametrize(("max_bytes", "fit"), [(1, 1), (1000, 1), (PART, 1), (12 * MIB, 3)])
async def test_no_more_parts_are_signed_than_fit(
    shop: httpx.AsyncClient, max_bytes: int, fit: int
) -> None:
    session = await minted(shop, max_bytes=max_bytes, unsized=True)
    async with holding(shop, session["token"]) as browser:
        path = await begun(browser)
        for _ in range(2):  # a part may be signed again
            for number in range(1, fit + 1):
                assert (await browser.get(f"{path}/{number}")).status_code == 200
        for number in (fit + 1, 10_000):
            body = await refused(await browser.get(f"{path}/{number}"))
            assert body["code"] == "upload-session-exhausted"
            assert f"{max_bytes} of its {max_bytes} bytes" in body["detail"]
        numbers = ",".join(map(str, range(1, fit + 2)))
        await refused(await browser.get(f"{path}/batch?partNumbers={numbers}"))
        upload_id = path.rpartition("/")[2]
        answer = await browser.post(
            f"/v1/uploads/{upload_id}/parts", json={"part_numbers": [fit + 1]}
        )
        assert slug(answer) == "upload-session-exhausted"


async def test_parts_that_are_there_count_with_what_they_are(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    session = await minted(shop, max_files=3, max_bytes=16 * MIB, unsized=True)
    async with holding(shop, session["token"]) as browser:
        path = await begun(browser)
        await sent(browser, web, path, 1, 11 * MIB)
        await sent(browser, web, path, 2, 4 * MIB)  # it could have been one of 5 MiB
        # A megabyte is left, in whichever of the session's uploads.
        other = await begun(browser)
        await sent(browser, web, other, 1, MIB // 2)
        await sent(browser, web, other, 2, MIB // 2)
        for last in (f"{path}/3", f"{other}/3"):
            body = await refused(await browser.get(last))
            assert f"0 of its {16 * MIB} bytes" in body["detail"]
        # What has arrived may be sent again.
        assert (await browser.get(f"{path}/2")).status_code == 200
        assert (await browser.post(f"{path}/complete", json=complete(2))).status_code == 200
        assert await used(shop, session) == (2, 15 * MIB)
        # What is cancelled makes room again.
        assert (await browser.delete(other)).status_code == 200
        third = await begun(browser)
        await sent(browser, web, third, 1, 2 * MIB)
        await refused(await browser.get(f"{third}/2"))
        rejected = await browser.post(f"{third}/complete", json=complete(1))
        assert slug(rejected) == "upload-rejected"


async def test_uploads_at_once_share_what_is_left(
    shop: httpx.AsyncClient, settings: Settings, web: httpx.AsyncClient
) -> None:
    session = await minted(shop, max_files=4, max_bytes=32 * MIB, unsized=True)
    async with running(settings) as replica:
        replica.headers.update(bearer(session["token"]))
        async with holding(shop, session["token"]) as browser:
            paths = [await begun(browser) for _ in range(4)]
            answers = await asyncio.gather(
                *(
                    client.get(f"{path}/{number}")
                    for number in (1, 2, 3)
                    for path in paths
                    for client in (browser, replica)
                )
            )
            refusals = [answer for answer in answers if not answer.is_success]
            assert {slug(answer) for answer in refusals} == {"upload-session-exhausted"}
            assert all(int(answer.headers["Retry-After"]) for answer in refusals)
            # 7 parts of 5 MiB are the first that do not fit; a part's number stands for those
            # before it.
            numbers = [max(_numbers(answers, path), default=0) for path in paths]
            assert 4 <= sum(numbers) <= 7
    assert await used(shop, session) == (4, 0)


def _numbers(answers: list[httpx.Response], path: str) -> list[int]:
    return [
        int(answer.request.url.path.rpartition("/")[2])
        for answer in answers
        if answer.is_success and answer.request.url.path.startswith(path)
    ]


async def test_a_destinations_largest_size_bounds_the_parts_as_well(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    small = settings.destinations["files"].model_copy(update={"max_size": 7 * MIB})
    settings = settings.model_copy(update={"destinations": {"files": small}})
    session = await minted(shop, max_files=2, max_bytes=10**9, unsized=True)
    async with running(settings) as service:
        service.headers.update(bearer(session["token"]))
        path = await begun(service)
        assert (await service.get(f"{path}/2")).status_code == 200
        body = await refused(await service.get(f"{path}/3"), 422)
        assert (body["code"], body["max_size"]) == ("size-not-allowed", 7 * MIB)


async def test_its_end_drops_the_parts_at_once(
    shop: httpx.AsyncClient, settings: Settings, web: httpx.AsyncClient, clock: Clock
) -> None:
    session = await minted(shop, max_files=3, unsized=True, expires_in=600)
    other = await minted(shop, max_files=3, unsized=True, expires_in=6000)
    sized = {"destination": "files", "filename": "b.bin", "size": 200 * MIB}
    async with holding(shop, session["token"]) as browser:
        await begun(browser)  # of which nothing was ever signed
        path = await begun(browser)
        url = await sent(browser, web, path, 1, 10)
        # No URL outlives the session.
        assert (await browser.get(f"{path}/1")).json()["expires"] <= 600
        assert (await browser.post("/v1/uploads", json=sized)).status_code == 201
    async with holding(shop, other["token"]) as browser:
        theirs = await begun(browser)
        await sent(browser, web, theirs, 1, 10)
    assert await under_way(settings) == 4
    ended = await shop.delete(f"/v1/upload-sessions/{session['id']}")
    assert ended.status_code == 204
    # What was announced with its size is left to the sweep, as ever.
    assert await under_way(settings) == 2
    assert (await web.put(url, content=b"x")).status_code == 404
    # Nobody else of the same owner goes on with it.
    owner = await key_for(settings, "uploads:write", owner="shop", tenant="acme")
    assert (await shop.get(f"{path}/1", headers=owner)).status_code == 404
    assert (await swept(settings, after=timedelta(minutes=101)))["removed"] == 1
    assert await under_way(settings) == 1


async def test_they_are_dropped_at_once_where_it_ends_with_who_made_it(
    shop: httpx.AsyncClient, settings: Settings, web: httpx.AsyncClient, clock: Clock
) -> None:
    async def key_of(maker: dict[str, str]) -> tuple[str, dict[str, str]]:
        wanted = {"name": "made", "scopes": list(Scope), "owner": "shop"}
        made = (await shop.post("/v1/api-keys", json=wanted, headers=maker)).json()
        return made["id"], bearer(made["token"])

    parent_id, parent = await key_of({})
    other_id, other = await key_of({})
    _, child = await key_of(parent)
    urls = []
    for maker in (parent, parent, child, other):
        shop.headers.update(maker)
        session = await minted(shop, max_files=9, unsized=True)
        async with holding(shop, session["token"]) as browser:
            for _ in range(5):  # more than are dropped together
                path = await begun(browser)
            urls.append(await sent(browser, web, path, 1, 10))
    assert await under_way(settings) == 20
    shop.headers.update(await key_for(settings, *Scope, owner="boss", tenant="acme"))
    for made, left in (("list", 10), ("revoke", 10)):
        # The child goes on until it is told to go as well.
        ended = await shop.delete(f"/v1/api-keys/{parent_id}?made={made}")
        assert ended.status_code == 200
        assert await under_way(settings) == (left if made == "list" else left - 5)
    gone = [(await web.put(url, content=b"x" * 10)).status_code for url in urls]
    assert gone == [404, 404, 404, 200]
    async with open_resources(settings) as res:
        boss = Principal("boss", "acme", frozenset(Scope))
        await end_key(res, boss, UUID(other_id))
    assert await under_way(settings) == 0


async def test_a_size_in_uppys_metadata_makes_it_a_sized_one(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, max_files=9, max_bytes=20 * MIB)
    async with holding(shop, session["token"]) as browser:
        for size in (12 * MIB, "1000"):  # Uppy 5 makes strings of some
            path = await begun(browser, size=size)
            parts = [12 * MIB - 10 * MIB, PART, PART] if size == 12 * MIB else [1000]
            url = (await browser.get(f"{path}/1")).json()["url"]
            assert "content-length" in url
            assert (await web.put(url, content=b"x" * 7)).status_code == 403
            for number, length in enumerate(reversed(parts), start=1):
                await sent(browser, web, path, number, length)
            assert slug(await browser.get(f"{path}/{len(parts) + 1}")) == "unknown-part"
            listed = (await browser.get(path)).json()
            assert [part["Size"] for part in listed] == list(reversed(parts))
            done = await browser.post(f"{path}/complete", json=complete(len(parts)))
            assert done.status_code == 200, done.text
        assert await used(shop, session) == (2, 12 * MIB + 1000)
        # Paid as it is announced, and refused before a byte is sent.
        body = await refused(await begin(browser, size=9 * MIB))
        assert "8 MiB of its 20 MiB left" in body["detail"]
        too_large = settings.destinations["files"].max_size + 1
        await refused(await begin(browser, size=too_large), 422)
        await refused(await browser.get(f"/uppy/s3/params?filename=a&metadata[size]={10**14}"), 422)
        form = (await browser.get("/uppy/s3/params?filename=a.bin&metadata[size]=3")).json()
        for data, status in ((b"four", 400), (b"two", 201)):
            file = {"file": ("f", data)}
            sending = await web.post(form["url"], data=form["fields"], files=file)
            assert sending.status_code == status
    assert await used(shop, session) == (3, 12 * MIB + 1003)


async def test_uppy_cuts_large_files_so() -> None:
    for size, part in ((0, PART), (PART + 1, PART), (10_000 * PART, PART), (10**12, 10**8)):
        assert lay_out_as_uppy(size).part_size == part
    assert lay_out_as_uppy(52_428_800_001).part_size == PART + 1


async def test_what_nobody_knows_the_parts_of_is_not_renewed(shop: httpx.AsyncClient) -> None:
    session = await minted(shop, unsized=True)
    async with holding(shop, session["token"]) as browser:
        upload_id = (await begin(browser)).json()["uploadId"]
        answer = await browser.post(f"/v1/uploads/{upload_id}/renew")
        assert (answer.status_code, slug(answer)) == (422, "parts-not-offered")


async def test_an_exhausted_session_says_of_what(
    shop: httpx.AsyncClient, clock: Clock, settings: Settings
) -> None:
    session = await minted(shop, max_bytes=100)
    async with holding(shop, session["token"]) as browser:
        form = "/uppy/s3/params?filename=a.bin&metadata[size]="
        body = await refused(await browser.get(f"{form}101"))
        assert "100 bytes of its 100 bytes left, and this takes 101 bytes" in body["detail"]
        assert (await browser.get(f"{form}10")).status_code == 200
        for ask in (browser.get(f"{form}10"), begin(browser, size=10)):
            body = await refused(await ask)
            assert body["code"] == "upload-session-exhausted"
            assert "takes 1 file, and 1 was announced" in body["detail"]
            assert "`max_files`, which is 1 by default" in body["detail"]
    async with running(settings, clock=clock) as replica:
        replica.headers.update(bearer(session["token"]))
        assert (await replica.get("/v1/destinations")).status_code == 200
        await shop.delete(f"/v1/upload-sessions/{session['id']}")
        body = await refused(await replica.get(f"{form}10"))
        assert "has ended" in body["detail"]


async def test_a_session_ends_while_its_bucket_is_away(
    shop: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await minted(shop, unsized=True)
    async with holding(shop, session["token"]) as browser:
        await begun(browser)

    async def down(*_: Any) -> None:
        raise BucketUnavailable("It is down.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "abort_uploads", down)
        ended = await shop.delete(f"/v1/upload-sessions/{session['id']}")
        assert ended.status_code == 204
    assert await under_way(settings) == 1
    assert (await swept(settings))["removed"] == 1
    assert await under_way(settings) == 0
