"""A look reads each answer of a store rightly, also those that no store at hand gives."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from app.errors import BucketRefused, BucketUnavailable, SigningUnavailable, UploadNotArrived
from app.store.look import StoredObject
from tests.store.scripted import Answer, Scripted, error, scripted

DATA: Final = bytes(range(256)) * 64
TYPED: Final = {"Content-Type": "image/png", "x-amz-meta-Claimcheck-Id": "7", "ETag": '"e"'}
PART: Final = {**TYPED, "Content-Range": "bytes 0-99/16384", "x-amz-version-id": "v1"}


@asynccontextmanager
async def looking(
    environ: dict[str, str], *answers: Answer, **change: str
) -> AsyncIterator[tuple[Callable[..., Any], Scripted]]:
    """A function that looks at a key in a store which gives these answers."""
    async with scripted(environ, *answers, **change) as (handle, store):
        yield handle.look, store


@asynccontextmanager
async def reading(
    environ: dict[str, str], *answers: Answer
) -> AsyncIterator[tuple[Callable[..., Any], Scripted]]:
    """A function that reads a part of the key there."""
    async with scripted(environ, *answers) as (handle, store):
        yield handle.read, store


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repetition does not wait."""
    monkeypatch.setattr("app.store.sending.random.random", lambda: 0.0)


async def test_a_range_describes_the_object(environ: dict[str, str]) -> None:
    async with looking(environ, (206, PART, DATA[:100])) as (look, store):
        found = await look(length=100)
        assert found == StoredObject(
            16384, "image/png", '"e"', "v1", None, {"claimcheck-id": "7"}, {}, DATA[:100]
        )
        [(method, target, headers)] = store.asked
        assert (method, headers["range"]) == ("GET", "bytes=0-99")
        assert target.startswith(f"/{environ['AWS_STORAGE_BUCKET_NAME']}/files/a%20b.png?X-Amz-")
        assert headers["accept-encoding"] == "identity"


async def test_a_store_without_ranges_is_cut_off(environ: dict[str, str]) -> None:
    large = {**TYPED, "Content-Length": str(1 << 40)}
    again = (206, PART, DATA[:100])
    async with looking(environ, (200, large, DATA), again) as (look, _):
        found = await look(length=100)
        assert (found.size, found.start) == (1 << 40, DATA[:100])
        # Not on the connection on which the rest would come.
        assert (await look(length=100)).start == DATA[:100]


async def test_a_range_may_come_with_status_200(environ: dict[str, str]) -> None:
    async with looking(environ, (200, PART, DATA[:100])) as (look, _):
        assert (await look(length=100)).size == 16384


@pytest.mark.parametrize("refusal", [(416, {}, error("InvalidRange")), (416, {}, b"no XML")])
async def test_of_an_empty_object_a_head_tells(environ: dict[str, str], refusal: Answer) -> None:
    async with looking(environ, refusal, (200, TYPED, b"")) as (look, store):
        found = await look(length=100)
        assert (found.size, found.start) == (0, b"")
        assert [method for method, *_ in store.asked] == ["GET", "HEAD"]


async def test_a_store_may_refuse_a_range_that_goes_past_the_end(environ: dict[str, str]) -> None:
    size = {**TYPED, "Content-Length": "5"}
    answers = (400, {}, error("InvalidRange")), (200, size, b""), (206, TYPED, b"hello")
    async with looking(environ, *answers) as (look, store):
        assert (await look(length=100)).start == b"hello"
        assert store.asked[2][2]["range"] == "bytes=0-4"


async def test_an_archived_object_is_described_without_bytes(environ: dict[str, str]) -> None:
    # Blanks around a code are none of it.
    refusal = error("\n InvalidObjectState \n")
    answers = (403, {}, refusal), (200, {**TYPED, "Content-Length": "9"}, b"")
    async with looking(environ, *answers) as (look, _):
        found = await look(length=100)
        assert (found.size, found.start) == (9, None)


async def test_a_checksum_is_asked_for_of_that_version_and_signed(environ: dict[str, str]) -> None:
    whole = {"x-amz-checksum-sha256": "c", "x-amz-checksum-type": "FULL_OBJECT"}
    head = {**TYPED, "Content-Length": "16384", "x-amz-version-id": "v1", **whole}
    async with looking(environ, (206, PART, DATA[:100]), (200, head, b"")) as (look, store):
        found = await look(length=100, checksum=True)
        assert (found.checksum_sha256, found.start) == ("c", DATA[:100])
        _, target, headers = store.asked[1]
        assert "&versionId=v1&" in target
        assert headers["x-amz-checksum-mode"] == "enabled"
        assert "X-Amz-SignedHeaders=host%3Bx-amz-checksum-mode" in target


async def test_another_object_meanwhile_is_none_that_has_arrived(environ: dict[str, str]) -> None:
    head = {**TYPED, "Content-Length": "16384", "ETag": '"other"'}
    async with looking(environ, (206, PART, DATA[:100]), (200, head, b"")) as (look, _):
        with pytest.raises(UploadNotArrived):
            await look(length=100, checksum=True)


@pytest.mark.parametrize("failure", [(503, {}, error("SlowDown")), (500, {}, b""), (0, {}, b"")])
async def test_what_may_pass_is_tried_once_more(environ: dict[str, str], failure: Answer) -> None:
    async with looking(environ, failure, (206, PART, DATA[:100])) as (look, store):
        assert (await look(length=100)).size == 16384
        assert len(store.asked) == 2


async def test_and_no_more_than_once(environ: dict[str, str]) -> None:
    async with looking(environ, *[(503, {}, error("SlowDown"))] * 3) as (look, store):
        with pytest.raises(BucketUnavailable):
            await look(length=100)
        assert len(store.asked) == 2


async def test_a_silent_store_is_given_up(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.web.READ_TIMEOUT", 0.05)
    silent = (206, {**PART, "Content-Length": "100"}, b"")
    async with looking(environ, silent, silent) as (look, store):
        with pytest.raises(BucketUnavailable):
            await look(length=100)
        assert len(store.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}, error("AuthorizationQueryParametersError", "<Region>eu-west-3</Region>")),
        (307, {"x-amz-bucket-region": "eu-west-3", "Location": "http://127.0.0.1:1/"}, b""),
        (301, {"x-amz-bucket-region": "eu-west-3"}, error("PermanentRedirect")),
    ],
)
async def test_the_region_that_a_store_names_is_asked(
    environ: dict[str, str], answer: Answer
) -> None:
    async with looking(environ, answer, (206, PART, DATA[:100])) as (look, store):
        assert (await look(length=100)).size == 16384
        own, other = (target for _, target, _ in store.asked)
        assert "%2Fus-east-1%2Fs3%2F" in own
        assert "%2Feu-west-3%2Fs3%2F" in other
    async with looking(environ, answer, answer) as (look, store):
        with pytest.raises(BucketRefused):
            await look(length=100)
        assert len(store.asked) == 2


async def test_a_session_token_goes_along(environ: dict[str, str]) -> None:
    token = {"AWS_SESSION_TOKEN": "temporary/token+="}
    async with looking(environ, (206, PART, DATA[:100]), **token) as (look, store):
        await look(length=100)
        assert "X-Amz-Security-Token=temporary%2Ftoken%2B%3D" in store.asked[0][1]


async def test_a_token_that_has_ended_is_said(environ: dict[str, str]) -> None:
    answer = (400, {}, error("ExpiredToken"))
    async with looking(environ, answer, AWS_SESSION_TOKEN="temporary") as (look, _):
        with pytest.raises(SigningUnavailable):
            await look(length=100)


FOUND: Final = StoredObject(16384, "image/png", '"e"', "v1", None, {}, {}, b"")


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ((206, PART | {"Content-Range": "bytes 50-59/16384"}, DATA[50:60]), DATA[50:60]),
        # rclone's status; and a store that knows no ranges, or others.
        ((200, PART | {"Content-Range": "bytes 50-59/16384"}, DATA[50:60]), DATA[50:60]),
        ((200, TYPED | {"x-amz-version-id": "v1"}, DATA), None),
        ((206, PART, DATA[:10]), None),
    ],
)
async def test_a_part_of_what_was_found(
    environ: dict[str, str], answer: Answer, read: bytes | None
) -> None:
    async with reading(environ, answer) as (part_of, store):
        assert await part_of(FOUND, slice(50, 60)) == read
        [(method, target, headers)] = store.asked
        assert (method, headers["range"]) == ("GET", "bytes=50-59")
        assert "versionId=v1" in target


@pytest.mark.parametrize(
    "answer",
    [
        (206, PART | {"ETag": '"other"', "Content-Range": "bytes 50-59/16384"}, DATA[50:60]),
        (404, {}, error("NoSuchKey")),
    ],
)
async def test_no_part_of_what_is_there_by_now(environ: dict[str, str], answer: Answer) -> None:
    async with reading(environ, answer) as (part_of, _):
        with pytest.raises(UploadNotArrived):
            await part_of(FOUND, slice(50, 60))
