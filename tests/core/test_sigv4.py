"""AWS's published examples, what is refused, and what the signer promises about its output.

That the signatures are S3's in general is test_sigv4_against_botocore.py's business.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.core import query_parameters, sigv4
from app.core.object_url import BucketAddress, UnsignableValue, bucket_address
from app.core.sigv4 import Credentials, UrlSigner, presign_url
from tests.core.signing import ADDRESS, EXAMPLE, NOW, UNSENDABLE, get, policy_of, post


# AWS, API/sigv4-query-string-auth: "An Example Presigned URL".
def test_published_presigned_url() -> None:
    url = presign_url(
        "GET",
        bucket_address("https://s3.amazonaws.com", "examplebucket", "us-east-1"),
        "test.txt",
        credentials=EXAMPLE,
        now=datetime(2013, 5, 24, tzinfo=UTC),
        expires_in=86400,
    )
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt"
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize(
    ("endpoint", "bucket", "region", "style", "host", "base_path"),
    [
        (None, "photos", "eu-west-1", "auto", "photos.s3.eu-west-1.amazonaws.com", ""),
        (None, "photos", "eu-west-1", "path", "s3.eu-west-1.amazonaws.com", "/photos"),
        (None, "photos", "cn-north-1", "auto", "photos.s3.cn-north-1.amazonaws.com.cn", ""),
        (None, "my.photos", "eu-west-1", "virtual", "s3.eu-west-1.amazonaws.com", "/my.photos"),
        (None, "Photos", "eu-west-1", "virtual", "s3.eu-west-1.amazonaws.com", "/Photos"),
        (None, "my_photos", "eu-west-1", "auto", "s3.eu-west-1.amazonaws.com", "/my_photos"),
        (None, "ab", "eu-west-1", "auto", "s3.eu-west-1.amazonaws.com", "/ab"),
        (None, "a" * 64, "eu-west-1", "auto", "s3.eu-west-1.amazonaws.com", "/" + "a" * 64),
        (None, "photos-", "eu-west-1", "auto", "s3.eu-west-1.amazonaws.com", "/photos-"),
        ("https://S3.Amazonaws.com", "photos", "us-east-1", "auto", "photos.s3.amazonaws.com", ""),
        ("http://localhost:9000", "photos", "x", "auto", "localhost:9000", "/photos"),
        ("http://localhost:9000/", "photos", "x", "virtual", "photos.localhost:9000", ""),
        ("http://127.0.0.1:9000", "photos", "x", "virtual", "127.0.0.1:9000", "/photos"),
        ("http://[::1]:9000", "photos", "x", "virtual", "[::1]:9000", "/photos"),
        ("http://[::1]", "photos", "x", "path", "[::1]", "/photos"),
        ("https://store.example:443", "photos", "x", "auto", "store.example", "/photos"),
        ("http://store.example:443", "photos", "x", "auto", "store.example:443", "/photos"),
        ("http://store.example:80", "photos", "x", "auto", "store.example", "/photos"),
        ("https://store.example/s3/", "photos", "x", "auto", "store.example", "/s3/photos"),
        ("https://store.example/s3", "photos", "x", "virtual", "photos.store.example", "/s3"),
        # Not AWS, though it says so.
        ("https://s3.amazonaws.com.evil.example", "photos", "x", "auto",
         "s3.amazonaws.com.evil.example", "/photos"),
    ],
)  # fmt: skip
def test_address(
    endpoint: str | None, bucket: str, region: str, style: Any, host: str, base_path: str
) -> None:
    address = bucket_address(endpoint, bucket, region, style)
    scheme = "http" if (endpoint or "").startswith("http:") else "https"
    assert address == BucketAddress(scheme, host, bucket, base_path, region)
    assert address.origin == f"{scheme}://{host}"
    url = get("k", address=address)
    assert url.startswith(f"{scheme}://{host}{base_path}/k?X-Amz-Algorithm=")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "store.example",
        "ftp://store.example",
        "https://",
        "https://user:secret@store.example",
        "https://store.example?a=b",
        "https://store.example/#",
        "https://store.example:port",
        "https://store.example:70000",
        "https://[::1",
        "https://stóre.example",
        "https://store.example/a b",
        "https://store.example/%2e%2e",
        "https://store.example/../s3",
        " https://store.example",
        "https://store.example\n",
        "https://sto\tre.example",
    ],
)
def test_endpoint_refused(endpoint: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^endpoint: "):
        bucket_address(endpoint, "photos", "eu-west-1")


@pytest.mark.parametrize("bucket", ["", "a/b", "a b", ".photos", "..", "a\n", "фото", "a" * 256])
def test_bucket_refused(bucket: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^bucket: "):
        bucket_address(None, bucket, "eu-west-1")


@pytest.mark.parametrize("region", ["", "eu west", "eu/west", "eu-west-1\n", "eu.west"])
def test_region_refused(region: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^region: "):
        bucket_address(None, "photos", region)


BAD_KEYS = [
    *UNSENDABLE,
    "",
    ".",
    "..",
    "./a",
    "../a",
    "a/.",
    "a/..",
    "a/./b",
    "a/../b",
    "/..",
    "a" * 1025,
    "é" * 513,
    "😀" * 257,
]


@pytest.mark.parametrize("sign", [get, post])
@pytest.mark.parametrize("key", BAD_KEYS)
def test_key_refused(sign: Callable[[str], object], key: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^object key: "):
        sign(key)


@pytest.mark.parametrize("sign", [get, post])
@pytest.mark.parametrize(
    "key", ["a" * 1024, "é" * 512, "😀" * 256, "...", ".a", "a..", "a/...", "/a", "a//b", "a/", " "]
)
def test_key_accepted(sign: Callable[[str], object], key: str) -> None:
    assert sign(key)


@pytest.mark.parametrize("sign", [get, post])
@pytest.mark.parametrize("expires_in", [0, -5, 604_801, 10**9, 1.5, 60.0, True, "60", None])
def test_expiry_refused(sign: Callable[..., object], expires_in: Any) -> None:
    sign(expires_in=1)  # 1 == 1.0 == True must not be found in a cache
    with pytest.raises(UnsignableValue, match=r"^expiry: .*1 to 604,800"):
        sign(expires_in=expires_in)


@pytest.mark.parametrize("expires_in", [1, 604_800])
def test_expiry_accepted(expires_in: int) -> None:
    assert f"&X-Amz-Expires={expires_in}&" in get(expires_in=expires_in)
    end = datetime.fromisoformat(policy_of(post(expires_in=expires_in)[1])["expiration"])
    assert end == NOW + timedelta(seconds=expires_in)


@pytest.mark.parametrize("sign", [get, post])
def test_naive_time_refused(sign: Callable[..., object]) -> None:
    with pytest.raises(UnsignableValue, match=r"^now: must carry a timezone"):
        sign(now=NOW.replace(tzinfo=None))


def test_time_zone_and_fraction_do_not_matter() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-9))).replace(microsecond=999_999)
    assert get(now=elsewhere) == get()
    assert post(now=elsewhere) == post()
    assert "&X-Amz-Date=20240701T121314Z&" in get()


@pytest.mark.parametrize("method", ["", "get", "POST", "PATCH", "GET\n"])
def test_method_refused(method: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^method: "):
        get(method=method)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        *[({"content-type": value}, "header content-type: must be") for value in UNSENDABLE],
        ({"Content-Disposition": "attachment; filename=é"}, "header content-disposition: must be"),
        ({"content-type": "a", "Content-Type": "a"}, "header content-type: is given twice"),
        ({"Host": "store.example"}, "header host: cannot be signed"),
        ({"X-Amz-Date": "20240701T121314Z"}, "header x-amz-date: cannot be signed"),
        ({"X-Amz-Content-Sha256": "0"}, "header x-amz-content-sha256: cannot be signed"),
        ({"X-Amz-Security-Token": "t"}, "header x-amz-security-token: cannot be signed"),
        ({"Authorization": "a"}, "header authorization: cannot be signed"),
        ({"User-Agent": "a"}, "header user-agent: cannot be signed"),
        *[
            ({name: "a"}, "header name: must be")
            for name in ("", "a b", "a:b", "a;b", "a\nb", "é", "content-type\n", "\u212aey")
        ],
    ],
)
def test_header_refused(headers: dict[str, str], message: str) -> None:
    with pytest.raises(UnsignableValue, match=f"^{message}"):
        get(method="PUT", headers=headers)


def test_headers_are_signed_with_spaces_collapsed_and_names_in_any_case() -> None:
    url = get(method="PUT", headers={"X-Amz-Meta-A": "a b", "content-type": "image/png"})
    assert "&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-a&" in url
    same = {"Content-Type": " image/png ", "x-amz-meta-a": "a   b"}
    assert get(method="PUT", headers=same) == url
    assert get(method="PUT", headers={**same, "x-amz-meta-a": "ab"}) != url


@pytest.mark.parametrize(
    ("query", "message"),
    [
        *[
            ({"response-content-type": value}, "query parameter response-content-type: holds U")
            for value in UNSENDABLE
        ],
        *[
            ({name: "a"}, "query parameter name: must be")
            for name in ("", "X-Amz-Expires", "x-amz-signature", "x-amz-security-token", "a b",
                         "a=b", "a&b", "a\n", "é", "Tagging", "1a")
        ],
    ],
)  # fmt: skip
def test_query_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(UnsignableValue, match=f"^{message}"):
        get(query=query)


def test_query_is_sorted_behind_the_signature_s_own_names_and_encoded_once() -> None:
    query = {"x-id": "GetObject", "versionId": "a b+c/d", "response-content-type": "%41"}
    url = get(query=query)
    assert url.partition("&X-Amz-SignedHeaders=")[2].startswith(
        "host&response-content-type=%2541&versionId=a%20b%2Bc%2Fd&x-id=GetObject&X-Amz-Signature="
    )
    assert query.items() <= dict(parse_qsl(urlsplit(url).query)).items()
    assert get(query=dict(reversed(query.items()))) == url


def test_a_batch_gives_the_urls_that_single_calls_give() -> None:
    queries: list[dict[str, str] | None] = [
        None,
        {},
        {"versionId": "1"},
        {"versionId": "2"},
        {"response-content-disposition": "attachment; filename*=UTF-8''%E6%97%A5", "x-id": "a"},
    ]
    signer = UrlSigner(ADDRESS, EXAMPLE, now=NOW, expires_in=900)
    for number, query in enumerate(queries):
        key = f"images/{number} é.png"
        assert signer.url(key, query) == get(key, query=query)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"key": "b.png"},
        {"expires_in": 901},
        {"now": NOW + timedelta(seconds=1)},
        {"now": NOW + timedelta(days=1)},
        {"query": {"versionId": "1"}},
        {"headers": {"content-type": "a"}},
        {"credentials": Credentials(EXAMPLE.access_key, "another-secret")},
        {"credentials": Credentials("another-key", EXAMPLE.secret_key)},
        {"credentials": Credentials(EXAMPLE.access_key, EXAMPLE.secret_key, "token")},
        {"address": bucket_address("https://store.example:9000", "photos", "eu-west-2")},
        {"address": bucket_address("https://store.example:9001", "photos", "eu-west-1")},
        {"address": bucket_address("https://store.example:9000", "photos2", "eu-west-1")},
    ],
)
def test_every_input_changes_the_signature(change: dict[str, Any]) -> None:
    def signature(url: str) -> str:
        return url.rpartition("&X-Amz-Signature=")[2]

    assert signature(get(**change)) != signature(get())


def test_token_travels_in_the_query() -> None:
    url = get(credentials=Credentials("key", "secret", "to/ken+=="))
    assert "&X-Amz-Security-Token=to%2Fken%2B%3D%3D&X-Amz-SignedHeaders=host&" in url


@pytest.mark.parametrize("bad", ["", "a b", "a\n", "é", "\ud800"])
def test_credentials_refused(bad: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^access key: "):
        Credentials(bad, "secret")
    with pytest.raises(UnsignableValue, match=r"^secret key: "):
        Credentials("key", bad)
    with pytest.raises(UnsignableValue, match=r"^session token: "):
        Credentials("key", "secret", bad)


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("key", "the-secret", "the-token", NOW))
    assert "the-secret" not in shown
    assert "the-token" not in shown
    assert "'key'" in shown


@pytest.mark.parametrize("bad", ["the-secret\n", "the-secret é"])
def test_a_refused_value_is_not_repeated(bad: str) -> None:
    with pytest.raises(UnsignableValue) as caught:
        Credentials("key", bad)
    assert "the-secret" not in str(caught.value)
    with pytest.raises(UnsignableValue) as caught:
        get(headers={"x-amz-meta-a": bad})
    assert "the-secret" not in str(caught.value)


def test_the_caches_are_bounded() -> None:
    for day in range(300):
        now = NOW + timedelta(days=day)
        get(str(day), now=now, query={"versionId": str(day)})
        post(now=now, fields={f"x-amz-meta-{day}": "a"})
        get(method="PUT", headers={f"x-amz-meta-{day}": "a"})
    caches = [
        f for m in (sigv4, query_parameters) for f in vars(m).values() if hasattr(f, "cache_info")
    ]
    assert len(caches) == 5
    for cache in caches:
        assert cache.cache_info().maxsize is not None
