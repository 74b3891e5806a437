"""POST forms: what a signed policy lets through, and what the gate refuses."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.steps import Answer, Store, encode_form, new_key, send

FIELDS = {
    "Content-Type": "image/png",
    "x-amz-meta-id": "7",
    "Cache-Control": "private",
    "Content-Disposition": "attachment",
    "success_action_status": "201",
}
TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>{}</Value></Tag></TagSet></Tagging>"
ANY = ["starts-with", "$Content-Type", ""]
RANGE = ["content-length-range", 2, 10]


def refused(store: Store, key: str, answer: Answer, status: int = 403, code: str = "") -> None:
    """Refused, and nothing stored."""
    assert answer.status == status, answer.body
    if code:
        assert answer.code == code
    with pytest.raises(ClientError, match="404"):
        store.client.head_object(Bucket=store.bucket, Key=key)


def policy(key: str, *conditions: Any, seconds: int = 60) -> dict[str, Any]:
    """A policy with the conditions that every form needs, as sign_policy fills it."""
    expiration = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [
            {"bucket": "gate-plain"},
            ["eq", "$key", key],
            *(
                ["starts-with", f"$x-amz-{name}", ""]
                for name in ("algorithm", "credential", "date")
            ),
            *conditions,
        ],
    }


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


# --- Policy


@pytest.mark.parametrize("size", [2, 3, 10])
def test_sizes_within_the_range(store: Store, size: int) -> None:
    answer = store.post(store.presign_post(new_key(), conditions=[RANGE]), bytes(size))
    assert answer.status == 204, answer.body


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (0, "EntityTooSmall"),
        (1, "EntityTooSmall"),
        (11, "EntityTooLarge"),
        (3 << 20, "EntityTooLarge"),
    ],
)
def test_sizes_beyond_the_range(store: Store, size: int, code: str) -> None:
    key = new_key()
    answer = store.post(store.presign_post(key, conditions=[RANGE]), bytes(size))
    refused(store, key, answer, 400, code)


Change = Callable[[dict[str, str]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update(key=f["key"] + "x"),
        lambda f: f.update({"Content-Type": "text/html"}),
        lambda f: f.pop("Content-Type"),
        lambda f: f.update({"x-amz-meta-id": "8"}),
        lambda f: f.pop("x-amz-meta-id"),
        lambda f: f.update({"x-amz-meta-more": "8"}),
        lambda f: f.update({"Content-Encoding": "gzip"}),
        lambda f: f.update(acl="public-read"),
        lambda f: f.update(success_action_status="200"),
        lambda f: f.update(success_action_redirect="https://evil.example"),
        lambda f: f.update({"x-amz-signature": "0" * 64}),
        lambda f: f.update(policy=base64.b64encode(b"{}").decode()),
        lambda f: f.pop("policy"),
        lambda f: f.pop("x-amz-signature"),
        lambda f: f.update({"x-amz-credential": "0" * 20 + f["x-amz-credential"][20:]}),
        lambda f: [f.pop(n) for n in (*FIELDS, "policy", "x-amz-signature", "x-amz-algorithm")],
    ],
)
def test_fields_other_than_signed(store: Store, change: Change) -> None:
    key = new_key()
    fields = store.presign_post(key, FIELDS)
    change(fields)
    answer = store.post(fields)
    refused(store, key, answer, answer.status if store.name == "ceph" else 403)
    assert answer.status in (400, 403)


def test_other_bucket(store: Store) -> None:
    key = new_key()
    fields = store.presign_post(key)
    assert store.post(fields, bucket=store.other).status == 403
    with pytest.raises(ClientError, match="404"):
        store.client.head_object(Bucket=store.other, Key=key)


def test_bucket_field_of_another_bucket(embedded: Store) -> None:
    # RGW 16.2 overlooks the field.
    key = new_key()
    fields = {**embedded.presign_post(key), "bucket": embedded.other}
    refused(embedded, key, embedded.post(fields), 403, "AccessDenied")
    assert embedded.post({**fields, "bucket": embedded.bucket}).status == 204


def test_expired_policy(store: Store) -> None:
    key = new_key()
    refused(store, key, store.post(store.presign_post(key, expires=-5)), 403, "AccessDenied")


def test_ignored_fields_need_no_condition(store: Store) -> None:
    fields = {**store.presign_post(new_key()), "x-ignore-me": "1"}
    assert store.post(fields).status == 204


def test_fields_behind_the_file_are_ignored(store: Store) -> None:
    key = new_key()
    fields = [*store.presign_post(key).items()]
    before, content_type = encode_form(fields, b"file")
    boundary = content_type.partition("=")[2]
    late = f'--{boundary}\r\nContent-Disposition: form-data; name="acl"\r\n\r\npublic-read\r\n'
    end = f"--{boundary}--\r\n"
    body = before.removesuffix(end.encode()) + (late + end).encode()
    url = f"{store.endpoint_url}/{store.bucket}"
    assert send("POST", url, body, {"Content-Type": content_type}).status == 204
    assert store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read() == b"file"


@pytest.mark.parametrize(
    ("condition", "value", "status"),
    [
        (["starts-with", "$Content-Type", "image/"], "image/png", 204),
        (["starts-with", "$content-type", "image/"], "video/mp4", 403),
        (["eq", "$Content-Type", "image/png"], "image/png", 204),
        (["eq", "$Content-Type", "image/png"], "image/PNG", 403),
        (ANY, "any/thing", 204),
        (ANY, None, 403),
        ({"Content-Type": "image/png"}, "image/png", 204),
        ({"Content-Type": "image/png"}, None, 403),
    ],
    ids=str,
)
def test_conditions(store: Store, condition: Any, value: str | None, status: int) -> None:
    if store.name == "ceph" and condition == ANY:
        status = 204  # RGW 16.2 lets an absent field start with ""; AWS does not.
    fields = store.presign_post(new_key(), conditions=[condition])
    if value is not None:
        fields["Content-Type"] = value
    assert store.post(fields).status == status


def test_each_of_several_types_must_match(embedded: Store) -> None:
    # RGW 16.2 takes the list for one value.
    condition = ["starts-with", "$Content-Type", "image/"]
    for value, status in (("image/png, image/gif", 204), ("image/png, text/html", 403)):
        fields = embedded.presign_post(new_key(), conditions=[condition])
        assert embedded.post({**fields, "Content-Type": value}).status == status


@pytest.mark.parametrize("filename", ["cat.png", "C:\\\\pictures\\\\cat.png", "../../cat.png"])
def test_filename_in_the_key(embedded: Store, filename: str) -> None:
    # RGW 16.2 keeps the directories.
    prefix = new_key()
    answer = embedded.post(embedded.presign_post(prefix + "/${filename}"), filename=filename)
    assert answer.status == 204, answer.body
    embedded.client.head_object(Bucket=embedded.bucket, Key=f"{prefix}/cat.png")


@pytest.mark.parametrize(
    "broken",
    [
        "not JSON",
        "[]",
        {"conditions": []},
        {"expiration": "tomorrow", "conditions": []},
        {"expiration": "2099-01-01T00:00:00Z"},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": {}},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["like", "$key", "x"]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["eq", "key", "x"]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["content-length-range", "a", 1]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [{}]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": ["key"]},
    ],
    ids=str,
)
def test_malformed_policy(embedded: Store, broken: object) -> None:
    # RGW 16.2 says InvalidArgument to most, and 403 to some.
    key = new_key()
    answer = embedded.post(embedded.sign_policy(broken, key))
    refused(embedded, key, answer, 400, "InvalidPolicyDocument")


def test_policy_that_covers_what_it_must(embedded: Store) -> None:
    # RGW 16.2 says it in other words.
    key = new_key()
    assert embedded.post(embedded.sign_policy(policy(key), key)).status == 204
    for spared in range(1, 5):
        other = new_key()
        signed = policy(other)
        del signed["conditions"][spared]
        answer = embedded.post(embedded.sign_policy(signed, other))
        refused(embedded, other, answer, 403, "AccessDenied")
        assert "Extra input fields" in (answer.text("Message") or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"x-amz-algorithm": "AWS4-HMAC-SHA512"},
        {"x-amz-date": "yesterday"},
        {"x-amz-credential": "nobody"},
        {"x-amz-security-token": "token"},
    ],
    ids=str,
)
def test_unreadable_signature(embedded: Store, changes: dict[str, str]) -> None:
    # RGW 16.2 answers most by 403.
    key = new_key()
    refused(embedded, key, embedded.post({**embedded.presign_post(key), **changes}), 400)


# --- Form


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
