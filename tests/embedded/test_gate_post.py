"""POST forms: what they can set, what is answered, and which are malformed."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.embedded.forms import FIELDS, RANGE, TAGS, refused
from tests.embedded.steps import Answer, Store, encode_form, new_key, send


def test_a_form_within_its_policy(store: Store) -> None:
    key = new_key()
    answer = store.post(store.presign_post(key, FIELDS, [RANGE]), b"0123456789")
    etag = hashlib.md5(b"0123456789").hexdigest()
    assert answer.status == 201, answer.body
    assert (answer.text("Bucket"), answer.text("Key")) == (store.bucket, key)
    assert (answer.text("ETag") or "").strip('"') == etag
    found = store.client.get_object(Bucket=store.bucket, Key=key)
    assert found["Body"].read() == b"0123456789"
    assert found["ContentType"] == "image/png"
    assert found["Metadata"] == {"id": "7"}
    # RGW 16.2 drops these fields of a form.
    if store.name == "embedded":
        assert found["CacheControl"] == "private"
        assert found["ContentDisposition"] == "attachment"


def test_location_and_etag_of_a_form_upload(embedded: Store) -> None:
    # RGW's Location is no URL, and it sends neither as a header.
    key = "gate/a b.png"
    answer = embedded.post(embedded.presign_post(key, FIELDS), b"x")
    assert answer.text("Location") == embedded.url(embedded.bucket, "gate/a%20b.png")
    assert answer.headers["Location"] == answer.text("Location")
    assert answer.headers["ETag"] == answer.text("ETag") == f'"{hashlib.md5(b"x").hexdigest()}"'


@pytest.mark.parametrize(
    ("wanted", "status"), [(None, 204), ("200", 200), ("204", 204), ("418", 204)]
)
def test_answer_by_status(store: Store, wanted: str | None, status: int) -> None:
    key = new_key()
    fields = {} if wanted is None else {"success_action_status": wanted}
    answer = store.post(store.presign_post(key, fields))
    assert (answer.status, answer.body) == (status, b"")
    store.client.head_object(Bucket=store.bucket, Key=key)


@pytest.mark.parametrize("query", ["", "?n=1"])
def test_redirect(store: Store, query: str) -> None:
    fields = {"success_action_redirect": f"https://app.example/done{query}"}
    answer = store.post(store.presign_post(new_key(), fields))
    assert answer.status == 303
    start, _, rest = answer.headers["Location"].partition("bucket=gate-plain&key=gate%2F")
    # RGW 16.2 adds a second question mark.
    joint = "&" if query and store.name != "ceph" else "?"
    assert start == f"https://app.example/done{query}{joint}"
    assert "&etag=%22" in rest


def test_version_of_a_form_upload(embedded: Store) -> None:
    # RGW 16.2 leaves the header out.
    key = new_key()
    versions = [
        embedded.post(
            embedded.presign_post(key, bucket=embedded.versioned), body, bucket=embedded.versioned
        ).headers["x-amz-version-id"]
        for body in (b"1", b"2")
    ]
    tags = {"tagging": TAGS.format("v")}
    fields = embedded.presign_post(key, tags, bucket=embedded.versioned)
    tagged = embedded.post(fields, bucket=embedded.versioned).headers["x-amz-version-id"]
    for version, count in ((versions[0], 0), (tagged, 1)):
        found = embedded.client.get_object_tagging(
            Bucket=embedded.versioned, Key=key, VersionId=version
        )
        assert len(found["TagSet"]) == count
    for version, body in zip(versions, (b"1", b"2"), strict=True):
        found = embedded.client.get_object(Bucket=embedded.versioned, Key=key, VersionId=version)
        assert found["Body"].read() == body


def test_what_a_field_can_set(embedded: Store) -> None:
    # RGW 16.2 has no checksums, and encrypts only with a key server at hand.
    key, digest = new_key(), base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    fields = {
        "acl": "private",
        "tagging": TAGS.format("b c"),
        "x-amz-checksum-sha256": digest,
        "x-amz-server-side-encryption": "AES256",
        "x-amz-meta-a_b": "日本",
    }
    answer = embedded.post(embedded.presign_post(key, fields), b"x")
    assert answer.status == 204, answer.body
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"
    where = {"Bucket": embedded.bucket, "Key": key}
    head = embedded.client.head_object(**where, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == digest
    assert head["ServerSideEncryption"] == "AES256"
    assert head["Metadata"]["a_b"].encode("latin-1").decode() == "日本"
    assert embedded.client.get_object_tagging(**where)["TagSet"] == [{"Key": "a", "Value": "b c"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()},
        {"Content-MD5": base64.b64encode(bytes(16)).decode()},
    ],
    ids=str,
)
def test_digest_of_other_bytes(embedded: Store, fields: dict[str, str]) -> None:
    # RGW 16.2 ignores both.
    key = new_key()
    refused(embedded, key, embedded.post(embedded.presign_post(key, fields)), 400, "BadDigest")


def test_field_that_no_header_can_carry(embedded: Store) -> None:
    # RGW 16.2 stores it.
    key = new_key()
    fields = embedded.presign_post(key, {"x-amz-meta-id": "a\nSet-Cookie: b"})
    refused(embedded, key, embedded.post(fields), 400, "InvalidArgument")


def test_tags_that_s3_refuses(embedded: Store) -> None:
    # RGW 16.2 takes names that S3 keeps for itself.
    tags = TAGS.format("b").replace("<Key>a", "<Key>aws:a")
    answer = embedded.post(embedded.presign_post(new_key(), {"tagging": tags}))
    assert (answer.status, answer.code) == (400, "InvalidTag")


def test_a_form_is_no_copy(store: Store) -> None:
    source, key = store.put(b"secret"), new_key()
    fields = store.presign_post(key, {"x-amz-copy-source": f"{store.bucket}/{source}"})
    store.post(fields, b"mine")
    assert store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read() == b"mine"


def test_malformed_forms(embedded: Store) -> None:
    # RGW 16.2 takes a form that is cut behind its file.
    url = f"{embedded.endpoint_url}/{embedded.bucket}"
    key = new_key()
    fields = [*embedded.presign_post(key).items()]

    def sent(body: bytes, content_type: str) -> Answer:
        return send("POST", url, body, {"Content-Type": content_type})

    body, content_type = encode_form(fields, b"x")
    refused(embedded, key, sent(body[:-8], content_type), 400, "MalformedPOSTRequest")
    refused(embedded, key, sent(b"", content_type), 400, "MalformedPOSTRequest")
    refused(embedded, key, sent(body, content_type + "x"), 400, "MalformedPOSTRequest")
    refused(embedded, key, sent(body, "multipart/form-data"), 412, "PreconditionFailed")
    refused(embedded, key, sent(b"key=a", "application/x-www-form-urlencoded"), 412)
    no_file = encode_form(fields, None)
    refused(embedded, key, sent(*no_file), 400, "InvalidArgument")
    no_key = encode_form([pair for pair in fields if pair[0] != "key"], b"x")
    refused(embedded, key, sent(*no_key), 400, "InvalidArgument")
    twice = encode_form([*fields, ("key", key)], b"x")
    refused(embedded, key, sent(*twice), 400, "InvalidArgument")
    endless = encode_form([*fields, ("x-ignore-me", "x" * 20_481)], b"x")
    refused(embedded, key, sent(*endless), 400, "MaxPostPreDataLengthExceeded")
    latin = body.replace(key.encode(), key.encode() + b"\xff", 1)
    refused(embedded, key, sent(latin, content_type), 400, "InvalidArgument")
    assert sent(body, content_type).status == 204


def test_too_long_a_key(embedded: Store) -> None:
    # RGW 16.2 takes it from a form.
    answer = embedded.post(embedded.presign_post("k" * 1025))
    assert (answer.status, answer.code) == (400, "KeyTooLongError")


def test_missing_bucket(embedded: Store) -> None:
    fields = embedded.presign_post("k", bucket="gate-missing")
    answer = embedded.post(fields, bucket="gate-missing")
    assert (answer.status, answer.code) == (404, "NoSuchBucket")
