"""Conditional writes, versions and parts, as S3 has them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.embedded.steps import Store, b64, new_key, refused, send


def test_conditional_put(store: Store) -> None:
    key = store.put()
    url = store.presign("put_object", Key=key, IfNoneMatch="*")
    refused(send("PUT", url, b"over", {"If-None-Match": "*"}), 412, "PreconditionFailed")
    assert store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read() == b"as stored"
    store.client.delete_object(Bucket=store.bucket, Key=key)
    assert send("PUT", url, b"again", {"If-None-Match": "*"}).status == 200


def test_conditional_put_on_a_versioned_bucket(embedded: Store) -> None:
    # RGW 16.2 makes a new version instead; AWS refuses.
    key = embedded.put(Bucket=embedded.versioned)
    url = embedded.presign("put_object", Bucket=embedded.versioned, Key=key, IfNoneMatch="*")
    refused(send("PUT", url, b"over", {"If-None-Match": "*"}), 412, "PreconditionFailed")


def test_one_of_twenty_racers_wins(store: Store) -> None:
    url = store.presign("put_object", Key=new_key(), IfNoneMatch="*")
    with ThreadPoolExecutor(20) as pool:
        bodies = [bytes([n]) * 200_000 for n in range(20)]
        answers = list(
            pool.map(lambda body: send("PUT", url, body, {"If-None-Match": "*"}), bodies)
        )
    assert sorted(answer.status for answer in answers) == [200, *[412] * 19]


def test_only_a_star_is_a_condition(embedded: Store) -> None:
    # RGW compares the ETag, and stores.
    url = embedded.presign("put_object", Key=embedded.put(), IfNoneMatch='"etag"')
    refused(send("PUT", url, b"x", {"If-None-Match": '"etag"'}), 501, "NotImplemented")


def test_versions(store: Store) -> None:
    client, bucket, key = store.client, store.versioned, new_key()
    first, second = (
        client.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"] for body in (b"1", b"2")
    )
    pinned = store.presign("get_object", Bucket=bucket, Key=key, VersionId=first)
    assert send("GET", pinned).body == b"1"
    assert send("GET", store.presign("get_object", Bucket=bucket, Key=key)).body == b"2"
    refused(send("GET", pinned.replace(first, second)))

    marker = client.delete_object(Bucket=bucket, Key=key)["VersionId"]
    refused(send("GET", store.presign("get_object", Bucket=bucket, Key=key)), 404, "NoSuchKey")
    assert send("GET", pinned).body == b"1"

    listed = client.list_object_versions(Bucket=bucket, Prefix=key)
    assert [v["VersionId"] for v in listed["Versions"]] == [second, first]
    for version in (first, second, marker):
        client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    assert send("GET", pinned).status == 404
    assert "Versions" not in client.list_object_versions(Bucket=bucket, Prefix=key)


def test_multipart_with_presigned_parts(store: Store) -> None:
    client, key = store.client, new_key()
    where = {"Bucket": store.bucket, "Key": key}
    upload = client.create_multipart_upload(**where, ContentType="video/mp4", Metadata={"id": "7"})
    where["UploadId"] = upload["UploadId"]
    parts = {1: b"a" * (5 << 20), 2: b"b"}
    urls = {n: store.presign("upload_part", **where, PartNumber=n) for n in parts}
    refused(send("PUT", urls[1].replace("partNumber=1", "partNumber=3"), b"x"))
    done = []
    for number, body in parts.items():
        answer = send("PUT", urls[number], body)
        assert answer.status == 200, answer.body
        done.append({"PartNumber": number, "ETag": answer.headers["ETag"]})
    listed = client.list_parts(**where)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 << 20), (2, 1)]
    wrong = [done[0], {"PartNumber": 2, "ETag": done[0]["ETag"]}]
    with pytest.raises(ClientError, match="InvalidPart"):
        client.complete_multipart_upload(**where, MultipartUpload={"Parts": wrong})
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": done})
    found = client.get_object(Bucket=store.bucket, Key=key)
    assert found["Body"].read() == parts[1] + parts[2]
    assert (found["ContentType"], found["Metadata"]) == ("video/mp4", {"id": "7"})
    refused(send("PUT", urls[1], b"late"), 404, "NoSuchUpload")


def test_an_aborted_upload_takes_no_part(store: Store) -> None:
    where = {"Bucket": store.bucket, "Key": new_key()}
    where["UploadId"] = store.client.create_multipart_upload(**where)["UploadId"]
    url = store.presign("upload_part", **where, PartNumber=1)
    store.client.abort_multipart_upload(**where)
    refused(send("PUT", url, b"late"), 404, "NoSuchUpload")


def test_repeated_complete_gives_the_same_answer(embedded: Store) -> None:
    # RGW 16.2 answers the second without an ETag.
    where = {"Bucket": embedded.bucket, "Key": new_key()}
    where["UploadId"] = embedded.client.create_multipart_upload(**where)["UploadId"]
    etag = embedded.client.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]
    done = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    first, second = (
        embedded.client.complete_multipart_upload(**where, MultipartUpload=done) for _ in range(2)
    )
    assert first["ETag"] == second["ETag"]
    assert "VersionId" not in first


def test_checksum_of_parts_is_told_from_that_of_the_object(embedded: Store) -> None:
    # RGW 16.2 has no checksums.
    client, where = embedded.client, {"Bucket": embedded.bucket, "Key": new_key()}
    upload = client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    part = client.upload_part(
        **where, UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256"
    )
    digest = hashlib.sha256(b"x").digest()
    assert part["ChecksumSHA256"] == b64(digest)
    done = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": [done]})
    head = client.head_object(**where, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == b64(hashlib.sha256(digest).digest()) + "-1"
    assert head["ChecksumType"] == "COMPOSITE"
    assert "ChecksumType" not in client.head_object(**where)
