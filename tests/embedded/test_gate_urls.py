"""Presigned URLs: who is let through, and that no part of one can be changed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.embedded.steps import ODD_KEYS, Store, new_key, refused, send


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_anonymous_is_refused(store: Store, method: str) -> None:
    key = store.put()
    answer = send(method, store.url(store.bucket, key), b"mine" if method == "PUT" else b"")
    refused(answer)
    assert store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read() == b"as stored"


@pytest.mark.parametrize("path", ["", "gate-plain", "gate-plain?versions", "gate-plain?cors"])
def test_anonymous_sees_no_bucket(embedded: Store, path: str) -> None:
    # RGW shows anonymous callers an empty list of buckets of their own.
    refused(send("GET", f"{embedded.endpoint_url}/{path}"), 403, "AccessDenied")


@pytest.mark.parametrize("path", ["moto-api/reset", "moto-api/data.json", "latest/meta-data/"])
def test_motos_own_addresses_are_closed(embedded: Store, path: str) -> None:
    # moto's reset would wipe every bucket for anybody who asks.
    key = embedded.put()
    refused(send("POST", f"{embedded.endpoint_url}/{path}"))
    refused(send("GET", f"{embedded.endpoint_url}/{path}"))
    embedded.client.head_object(Bucket=embedded.bucket, Key=key)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_presigned_get_of_any_key(store: Store, key: str) -> None:
    store.put(key.encode(), Key=key)
    answer = send("GET", store.presign("get_object", Key=key))
    assert (answer.status, answer.body) == (200, key.encode())
    assert key in {
        entry["Key"]
        for page in store.client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
        for entry in page["Contents"]
    }


def test_presigned_get(store: Store) -> None:
    key = store.put(b"0123456789", ContentType="image/png", Metadata={"id": "7"})
    answer = send("GET", store.presign("get_object", Key=key))
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["x-amz-meta-id"] == "7"
    assert answer.headers["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"'


def test_ranges(store: Store) -> None:
    url = store.presign("get_object", Key=store.put(b"0123456789"))
    answer = send("GET", url, headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.body) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"
    assert send("GET", url, headers={"Range": "bytes=-3"}).body == b"789"
    refused(send("GET", url, headers={"Range": "bytes=10-"}), 416, "InvalidRange")


def test_response_overrides_are_signed(store: Store) -> None:
    key = store.put(ContentType="text/html")
    params = {
        "ResponseContentType": "application/octet-stream",
        "ResponseContentDisposition": "attachment; filename*=UTF-8''%E6%97%A5.txt",
    }
    for method in ("GET", "HEAD"):
        answer = send(method, store.presign(f"{method.lower()}_object", Key=key, **params))
        assert answer.headers["Content-Type"] == params["ResponseContentType"]
        assert answer.headers["Content-Disposition"] == params["ResponseContentDisposition"]
    plain = store.presign("get_object", Key=key)
    refused(send("GET", f"{plain}&response-content-type=text%2Fplain"))


def test_an_override_that_no_header_can_carry(embedded: Store) -> None:
    # RGW sends it as it is.
    url = embedded.presign(
        "get_object", Key=embedded.put(), ResponseContentType="a\r\nSet-Cookie: b"
    )
    refused(send("GET", url), 400, "InvalidArgument")


def test_missing_key(store: Store) -> None:
    refused(send("GET", store.presign("get_object", Key=new_key())), 404, "NoSuchKey")


def test_changed_signature(store: Store) -> None:
    url = store.presign("get_object", Key=store.put())
    last = "0" if url[-1] != "0" else "1"
    refused(send("GET", url[:-1] + last), 403, "SignatureDoesNotMatch")
    refused(send("GET", url[:-1]), 403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gate-plain/", "gate-other/"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Brange"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=user-agent"),
        ("X-Amz-Algorithm", "versionId=null&X-Amz-Algorithm"),
        ("X-Amz-Algorithm", "acl&X-Amz-Algorithm"),
    ],
)
def test_changed_url(store: Store, old: str, new: str) -> None:
    key = store.put()
    store.put(Bucket=store.other, Key=key)
    url = store.presign("get_object", Key=key)
    assert send("GET", url).status == 200
    refused(send("GET", url.replace(old, new)))


def test_other_key_or_method(store: Store) -> None:
    mine, yours = store.put(), store.put()
    url = store.presign("get_object", Key=mine)
    refused(send("GET", url.replace(mine, yours)), 403, "SignatureDoesNotMatch")
    refused(send("PUT", url, b"over"), 403, "SignatureDoesNotMatch")
    refused(send("DELETE", url), 403, "SignatureDoesNotMatch")
    refused(send("HEAD", url))


def test_signed_by_others(store: Store) -> None:
    url = store.presign("get_object", Key=store.put())
    refused(send("GET", url.replace(store.access_key, "0" * 20)), 403, "InvalidAccessKeyId")
    thief = Store(store.name, store.endpoint_url, store.access_key, "0" * 40, None)
    fields = thief.sign_policy({"expiration": "2099-01-01T00:00:00Z", "conditions": []}, "k")
    refused(store.post(fields))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1"),
        ("X-Amz-Expires=60", "X-Amz-Expires=soon"),
        ("X-Amz-Expires=60", ""),
        ("X-Amz-Signature", "x-amz-signature"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        ("%2Fs3%2F", "%2Fec2%2F"),
        ("%2Fus-east-1%2F", "%2F"),
        ("X-Amz-Date=2", "X-Amz-Date=x"),
    ],
)
def test_malformed_url(embedded: Store, old: str, new: str) -> None:
    # RGW 16.2 refuses most of these by 403, and takes the first of two expiries.
    url = embedded.presign("get_object", Key=embedded.put())
    assert old in url
    refused(send("GET", url.replace(old, new)), 400, "AuthorizationQueryParametersError")


def test_two_kinds_of_signature(store: Store) -> None:
    url = store.presign("get_object", Key=store.put())
    refused(send("GET", url, headers={"Authorization": "Bearer x"}), 400, "InvalidArgument")


def test_expiry(store: Store, clock: Any) -> None:
    key = store.put()
    clock(-120)
    expired, alive = (store.presign("get_object", Key=key, expires=n) for n in (100, 600))
    refused(send("GET", expired), 403, "AccessDenied")
    assert send("GET", alive).status == 200


def test_not_yet_valid(embedded: Store, clock: Any) -> None:
    # RGW 16.2 looks at the end of a presigned URL alone.
    key = embedded.put()
    clock(1200)
    refused(send("GET", embedded.presign("get_object", Key=key)), 403, "AccessDenied")
    clock(600)
    assert send("GET", embedded.presign("get_object", Key=key)).status == 200
