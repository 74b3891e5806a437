"""Pages of lists are read as botocore reads them; what is no list is no empty one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from app.errors import BucketRefused, BucketUnavailable
from app.store.listing import Listed, _moment, list_bucket, list_objects
from tests.store.scripted import Answer, error, scripted

MOMENT = datetime(2026, 11, 29, 21, 16, 20, tzinfo=UTC)
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
WHEN = "<LastModified>2026-11-29T21:16:20.000Z</LastModified>"


MORE = "<IsTruncated>true</IsTruncated>"
LAST = "<IsTruncated>false</IsTruncated>"


def page(
    inner: str, *, encoded: bool = True, space: str = SPACE, root: str = "ListBucketResult"
) -> Answer:
    said = "<EncodingType>url</EncodingType>" if encoded else ""
    return 200, {}, f"<{root} {space}>{said}{inner}</{root}>".encode()


def contents(key: str) -> str:
    return f"<Contents><Key>{key}</Key>{WHEN}<ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>"


def version(key: str, version_id: str, latest: str, size: str = "<Size>5</Size>") -> str:
    kind = "Version" if size else "DeleteMarker"
    return (
        f"<{kind}><Key>{key}</Key><VersionId>{version_id}</VersionId>"
        f"<IsLatest>{latest}</IsLatest>{WHEN}{size}</{kind}>"
    )


async def listed(environ: dict[str, str], way: Any, *answers: Answer) -> tuple[list[Listed], Any]:
    async with scripted(environ, *answers) as (handle, store):
        found = [one async for one in way(handle.buckets, handle.destination, "a b/", "")]
        return found, store.asked


@pytest.mark.parametrize("space", [SPACE, ""])
async def test_pages_follow_one_another_and_keys_are_decoded(
    environ: dict[str, str], space: str
) -> None:
    more = f"{MORE}<NextContinuationToken>1+/=</NextContinuationToken>"
    found, asked = await listed(
        environ,
        list_objects,
        page(contents("a+b/%C3%A9%0A") + more, space=space),
        page(contents("a b/%+") + LAST, encoded=False, space=space),
    )
    # The second page says that its keys are as they are.
    assert [one.key for one in found] == ["a b/\u00e9\n", "a b/%+"]
    assert found[0] == Listed(found[0].key, {"": 5}, {"": MOMENT}, '"e"', False, MOMENT)
    first, second = (target for _, target, _ in asked)
    assert "&prefix=a%20b%2F&X-Amz-Signature=" in first
    assert "&continuation-token=1%2B%2F%3D&encoding-type=url&list-type=2&max-keys=1000" in second


async def test_versions_of_a_key_are_one_across_pages(environ: dict[str, str]) -> None:
    more = "<NextKeyMarker>a%20b/1</NextKeyMarker><NextVersionIdMarker>v2</NextVersionIdMarker>"
    found, asked = await listed(
        environ,
        list_bucket,
        page(version("a+b/1", "v2", "false") + MORE + more, root="ListVersionsResult"),
        page(version("a+b/1", "v1", "false") + version("a+b/1", "m", "true", "") + LAST),
    )
    [one] = found
    assert (one.key, one.sizes, one.hidden) == ("a b/1", {"v2": 5, "v1": 5}, True)
    assert (
        "&key-marker=a%20b%2F1&max-keys=1000&prefix=a%20b%2F&version-id-marker=v2&" in asked[1][1]
    )


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"<html><body>Sign in.</body></html>"),
        (200, {}, error("InternalError")),
        page(LAST, root="ListAllMyBucketsResult"),
        page(contents("a")),
        page(contents("a") + "<IsTruncated/>"),
        page(contents("a") + MORE),
        page(contents("a") + MORE + "<NextVersionIdMarker>v</NextVersionIdMarker>"),
        page(contents("a") + MORE + "<NextContinuationToken/><NextKeyMarker/>"),
        page(f"<Contents><Key>a</Key></Contents>{LAST}"),
        page(contents("a").replace("5", "five") + LAST),
    ],
)
async def test_what_is_no_page_is_no_end_of_the_list(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr("app.store.sending.random.random", lambda: 0.0)
    for way in (list_objects, list_bucket):
        with pytest.raises(BucketUnavailable):
            await listed(environ, way, answer, answer)


@pytest.mark.parametrize(
    ("way", "others"), [(list_objects, "NextKeyMarker"), (list_bucket, "NextContinuationToken")]
)
async def test_the_next_page_begins_where_such_a_list_has_it(
    environ: dict[str, str], way: Any, others: str
) -> None:
    with pytest.raises(BucketUnavailable):
        await listed(environ, way, page(contents("a") + MORE + f"<{others}>a</{others}>"))


@pytest.mark.parametrize(
    "failure",
    [
        (200, {}, error("InternalError")),
        (200, {}, error("AccessDenied").replace(b"<Error>", f"<Error {SPACE}>".encode())),
        (200, {}, page(contents("a") + LAST)[2][:-9]),
        (200, {}, b""),
    ],
)
async def test_an_error_with_status_200_and_half_a_page_are_repeated(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, failure: Answer
) -> None:
    monkeypatch.setattr("app.store.sending.random.random", lambda: 0.0)
    found, asked = await listed(environ, list_objects, failure, page(contents("a") + LAST))
    assert ([one.key for one in found], len(asked)) == (["a"], 2)


async def test_the_code_of_an_error_with_status_200_is_told(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sending.random.random", lambda: 0.0)
    answer = 200, {}, error("ServiceUnavailable")
    with pytest.raises(BucketUnavailable) as failed:
        await listed(environ, list_objects, answer, answer)
    assert "ServiceUnavailable" in str(failed.value.__cause__)


async def test_refusals_are_told_and_passing_failures_repeated(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sending.random.random", lambda: 0.0)
    with pytest.raises(BucketRefused) as refused:
        await listed(environ, list_objects, (403, {}, error("AccessDenied")))
    assert isinstance(refused.value.__cause__, ClientError)
    found, asked = await listed(
        environ, list_objects, (503, {}, error("SlowDown")), page(contents("a") + LAST)
    )
    assert ([one.key for one in found], len(asked)) == (["a"], 2)


async def test_stores_without_versions_are_listed_without(environ: dict[str, str]) -> None:
    answers = (501, {}, error("NotImplemented")), page(contents("a") + LAST)
    found, asked = await listed(environ, list_bucket, *answers)
    assert [one.key for one in found] == ["a"]
    assert ["versions=" in target for _, target, _ in asked] == [True, False]


@pytest.mark.parametrize(
    "written",
    [
        *("2026-11-29T21:16:20.123Z", "2026-11-29T21:16:20Z", "2026-11-29T23:16:20+02:00"),
        *("Sun, 29 Nov 2026 21:16:20 GMT", "1796000000"),
    ],
)
def test_moments_are_read_as_botocore_reads_them(written: str) -> None:
    assert _moment(written) == parse_timestamp(written)
