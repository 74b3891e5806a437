"""Object URLs: written one way, read in both styles, and never an exception."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.object_url import (
    AddressingStyle,
    ObjectName,
    UnsignableValue,
    bucket_address,
    object_url,
    parse_object_url,
    percent_encode,
)
from app.core.sigv4 import Credentials, presign_url

BUCKETS = ["photos", "my.photos", "photos.eu", "My_Photos", "127"]
S3 = "s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("endpoint", "key", "url"),
    [
        ("https://store.example", "a.png", "https://store.example/photos/a.png"),
        ("https://store.example/", "a/b c.png", "https://store.example/photos/a/b%20c.png"),
        ("http://localhost:9000", "é+~!.png", "http://localhost:9000/photos/%C3%A9%2B~%21.png"),
        ("http://localhost:9000", "100%.png", "http://localhost:9000/photos/100%25.png"),
        ("http://localhost:9000", "a//b", "http://localhost:9000/photos/a//b"),
    ],
)
def test_object_url(endpoint: str, key: str, url: str) -> None:
    assert object_url(endpoint, "photos", key) == url


@pytest.mark.parametrize("key", ["", "a\n", "\ud800", "a/../b", "a" * 1025])
def test_object_url_refuses_unusable_keys(key: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^object key: "):
        object_url("https://store.example", "photos", key)


@pytest.mark.parametrize(
    ("url", "host", "bucket", "key"),
    [
        (f"https://{S3}/photos/a.png", S3, "photos", "a.png"),
        (f"https://photos.{S3}/a/b.png", S3, "photos", "a/b.png"),
        (f"HTTPS://Photos.{S3.upper()}/A.png", S3, "photos", "A.png"),
        (f"https://my.photos.{S3}/a", S3, "my.photos", "a"),
        (f"https://photos.eu.{S3}/a", S3, "photos.eu", "a"),  # the longest name that fits
        (f"https://{S3}/my.photos/a", S3, "my.photos", "a"),
        (f"https://{S3}/My_Photos/a", S3, "My_Photos", "a"),
        (f"https://photos.{S3}/photos/a", S3, "photos", "photos/a"),  # virtual-hosted wins
        # An endpoint that begins with a bucket's name reads like this; its host tells.
        ("https://photos.example/my.photos/a", "example", "photos", "my.photos/a"),
        ("http://localhost:9000/photos/a", "localhost:9000", "photos", "a"),
        ("http://photos.localhost:9000/a", "localhost:9000", "photos", "a"),
        ("http://127.0.0.1:9000/photos/a", "127.0.0.1:9000", "photos", "a"),
        ("http://127.0.0.1/127/a", "127.0.0.1", "127", "a"),
        ("http://[::1]:9000/photos/a", "[::1]:9000", "photos", "a"),
        ("https://store.example:443/photos/a", "store.example", "photos", "a"),
        ("http://store.example:80/photos/a", "store.example", "photos", "a"),
        ("http://store.example:443/photos/a", "store.example:443", "photos", "a"),
        ("http://store.example:0080/photos/a", "store.example", "photos", "a"),
        ("http://store.example/phot%6Fs/a", "store.example", "photos", "a"),
        ("http://store.example/photos/a%20b%2Bc+d", "store.example", "photos", "a b+c+d"),
        ("http://store.example/photos/%2541", "store.example", "photos", "%41"),  # once
        ("http://store.example/photos/a%2fb", "store.example", "photos", "a/b"),
        ("http://store.example/photos/日本.png", "store.example", "photos", "日本.png"),
        ("http://store.example/photos/a?X-Amz-Date=b/c#d?e", "store.example", "photos", "a"),
        ("http://store.example/photos/a#?b\n", "store.example", "photos", "a"),
        ("http://store.example/photos//a/", "store.example", "photos", "/a/"),
    ],
)
def test_parse(url: str, host: str, bucket: str, key: str) -> None:
    assert parse_object_url(url, BUCKETS) == ObjectName(host, bucket, key)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photos/a",
        "//store.example/photos/a",
        "s3://photos/a",
        "ftp://store.example/photos/a",
        "javascript:alert(1)",
        "httpſ://store.example/photos/a",
        "http:///photos/a",
        "http://store.example",
        "http://store.example/",
        "http://store.example/photos",
        "http://store.example/photos/",
        "http://store.example/photos/?a",
        "http://store.example/other/a",
        "http://store.example/photos2/a",
        "http://store.example/Photos/a",
        "http://store.example//photos/a",
        "http://store.example/base/photos/a",
        f"https://other.{S3}/a",
        f"https://photos.{S3}/",
        f"https://notphotos.{S3}/a",
        f"https://photos{S3}/a",
        "https://photos./a",
        f"https://my_photos.{S3}/a",
        "http://user@store.example/photos/a",
        "http://user:secret@store.example/photos/a",
        "http://store.example:/photos/a",
        "http://store.example:99999/photos/a",
        "http://store.example:9a/photos/a",
        "http://store.example:٨٠/photos/a",
        "http://[::1/photos/a",
        "http://[photos]/photos/a",
        "http://stóre.example/photos/a",
        "http://store example/photos/a",
        " http://store.example/photos/a",
        "http://store.example/photos/a b",
        "http://store.example/photos/a\n",
        "http://store.example\n/photos/a",
        "http://store.example/photos\\a",
        "http://store.example\\photos/a",
        "http://store.example/photos/%",
        "http://store.example/photos/%4",
        "http://store.example/photos/%zz",
        "http://store.example/photos/%+1",
        "http://store.example/photos/%FF",
        "http://store.example/photos/%C3",
        "http://store.example/photos/%ED%A0%80",
        "http://store.example/photos/\ud800",
        "http://store.example/photos/%00",
        "http://store.example/photos/a%0Ab",
        "http://store.example/photos%2Fa",
        "http://store.example/photos/../other/a",
        "http://store.example/photos/%2e%2E/a",
        "http://store.example/photos/" + "a" * 1025,
    ],
)
def test_parse_refuses(url: str) -> None:
    assert parse_object_url(url, BUCKETS) is None


url_pieces = st.lists(
    st.sampled_from(
        ["http", "https", "://", ":", "/", "//", "?", "#", "@", "%", "%2", "%41", "%FF", "\\", "[",
         "::1", "]", ".", "..", "photos", "my.photos", "127", "s3", "a", "é", "\ud800", "\0", "\n",
         "9000", "99999", " "]
    )
).map("".join)  # fmt: skip


@given(st.one_of(st.text(st.characters()), url_pieces, url_pieces.map("http://".__add__)))
@example("http://[" + "::" * 500)
@example("http://photos." * 200)
def test_parse_never_raises(url: str) -> None:
    name = parse_object_url(url, BUCKETS)
    assert name is None or (name.bucket in BUCKETS and name.key and name.host)


keys = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200).filter(
    lambda key: {".", ".."}.isdisjoint(key.split("/"))
)
endpoints = st.sampled_from(
    ["https://s3.amazonaws.com", "http://localhost:9000", "http://127.0.0.1:9000",
     "http://[::1]:9000", "https://store.example/", "https://Store.Example:8443"]
)  # fmt: skip


@given(endpoints, st.sampled_from(BUCKETS), keys)
def test_parse_reads_what_object_url_writes(endpoint: str, bucket: str, key: str) -> None:
    host = endpoint.lower().partition("://")[2].rstrip("/")
    assert parse_object_url(object_url(endpoint, bucket, key), BUCKETS) == ObjectName(
        host, bucket, key
    )


styles: st.SearchStrategy[AddressingStyle] = st.sampled_from(["auto", "virtual", "path"])


@given(endpoints, st.sampled_from(["photos", "my.photos"]), keys, styles)
def test_parse_reads_presigned_urls_in_both_styles(
    endpoint: str, bucket: str, key: str, style: AddressingStyle
) -> None:
    address = bucket_address(endpoint, bucket, "us-east-1", style)
    url = presign_url(
        "GET",
        address,
        key,
        credentials=Credentials("key", "secret"),
        now=datetime(2024, 7, 1, tzinfo=UTC),
        expires_in=60,
    )
    name = parse_object_url(url, ["photos", "my.photos"])
    assert name is not None
    assert (name.bucket, name.key) == (bucket, key)
    assert name.host == endpoint.lower().partition("://")[2].rstrip("/")


@given(st.text(st.characters(codec="utf-8")))
@example("%%25%2525")
@example("attachment; filename=\"a.png\"; filename*=UTF-8''%E6%97%A5%20%22.png")
@example("".join(map(chr, range(128))))
def test_percent_encode_equals_the_standard_library_s(text: str) -> None:
    assert percent_encode(text) == quote(text, safe="")


def test_a_known_endpoint_is_path_style_even_where_its_host_begins_like_a_bucket() -> None:
    url = "https://files.example/photos/a.png"
    assert parse_object_url(url, {"files", "photos"}) == ObjectName(
        "example", "files", "photos/a.png"
    )
    assert parse_object_url(url, {"files", "photos"}, {"https://files.example"}) == ObjectName(
        "files.example", "photos", "a.png"
    )


def test_a_known_endpoint_may_have_a_path_of_its_own() -> None:
    url = "https://gw.example:8443/s3/photos/a%20b.png?X-Amz-Signature=0"
    assert parse_object_url(url, {"photos"}) is None
    assert parse_object_url(url, {"photos"}, {"https://gw.example:8443/s3"}) == ObjectName(
        "gw.example:8443", "photos", "a b.png"
    )


@pytest.mark.parametrize("key", ["é" * 512, "a" * 1024, "\U0001f600" * 256])
def test_the_longest_key_is_read_however_it_is_written(key: str) -> None:
    bucket = "b" * 255
    written = "".join(f"%{byte:02x}" for byte in key.encode())
    named = "".join(f"%{byte:02x}" for byte in bucket.encode())
    found = parse_object_url(f"http://store.example/{named}/{written}?a", {bucket})
    assert found == ObjectName("store.example", bucket, key)
    assert parse_object_url(f"http://store.example/{named}/{written}%61", {bucket}) is None
