"""The service's own S3 rights: each that docs/bucket.md asks for is needed, and a lack is told."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.settings.model import load_settings
from tests.contract.flow import Flow, flipped, problem, refused, sha256
from tests.contract.stores import OTHER, Feature, having, sending
from tests.support.service import running


@contextmanager
def without(flow: Flow, *actions: str) -> Iterator[None]:
    """The service's user is denied the actions meanwhile."""
    owner, bucket = flow.store.owner, flow.store.bucket
    granted = owner.get_bucket_policy(Bucket=bucket)["Policy"]
    policy: dict[str, Any] = json.loads(granted)
    [service] = {
        statement["Principal"]["AWS"]
        for statement in policy["Statement"]
        if statement["Action"] != "s3:*"
    }
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": {"AWS": service},
            "Action": actions,
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
    )
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    try:
        yield
    finally:
        owner.put_bucket_policy(Bucket=bucket, Policy=granted)


def told(response: httpx.Response, what: str) -> None:
    """The problem is the operator's, and says what to look at."""
    assert what in problem(response, 502, "bucket-refused")


@having(Feature.USERS)
@pytest.mark.parametrize("method", ["post", "put"])
async def test_without_put_object_nothing_arrives(flow: Flow, method: str) -> None:
    upload = await flow.announce(method)
    with without(flow, "s3:PutObject"):
        refused(await flow.send(upload["upload"]), 403, "AccessDenied")
    assert (await flow.send(upload["upload"])).is_success


@having(Feature.USERS, Feature.VERSIONS)
async def test_without_get_object_version_nothing_is_read(flow: Flow) -> None:
    file = await flow.file("put")
    upload = await flow.announce("put")
    assert (await flow.send(upload["upload"])).is_success
    hashed = await flow.announce("put", checksum_sha256=sha256(b"hello"))
    assert (await flow.send(hashed["upload"])).is_success
    with without(flow, "s3:GetObjectVersion"):
        refused(await flow.web.get(file["presigned_url"]), 403, "AccessDenied")
        # Confirm looks at the latest, for which s3:GetObject is enough: doctor asks for a version.
        confirmed = (await flow.confirm(upload)).json()
        refused(await flow.web.get(confirmed["presigned_url"]), 403, "AccessDenied")
        # For a checksum it asks for the version that it has found.
        problem(await flow.confirm(hashed), 502, "bucket-refused")
    assert (await flow.confirm(hashed)).status_code == 200
    assert await flow.read(file["presigned_url"]) == b"hello"
    assert await flow.read(confirmed["presigned_url"]) == b"hello"


@having(Feature.USERS)
async def test_without_get_object_nothing_is_confirmed(flow: Flow) -> None:
    upload = await flow.announce("put")
    assert (await flow.send(upload["upload"])).is_success
    with without(flow, "s3:GetObject"):
        told(await flow.confirm(upload), "s3:GetObject")
    assert (await flow.confirm(upload)).status_code == 200


@having(Feature.USERS)
async def test_without_list_bucket_a_missing_key_looks_forbidden(flow: Flow) -> None:
    upload = await flow.announce("put")
    with without(flow, "s3:ListBucket"):
        told(await flow.confirm(upload), "s3:ListBucket")
    problem(await flow.confirm(upload), 409, "upload-not-arrived")


@having(Feature.USERS, Feature.VERSIONS)
@pytest.mark.parametrize("action", ["s3:ListBucketVersions", "s3:DeleteObjectVersion"])
async def test_without_a_right_nothing_is_removed(flow: Flow, action: str) -> None:
    file = await flow.file("put")
    address, query = f"/v1/files/{file['id']}", {"object": "delete"}
    with without(flow, action):
        told(await flow.api.delete(address, params=query), action)
        assert flow.store.versions(file["key"]) == [file["version_id"]]
    # The removal was begun, and goes on when it is asked for again.
    assert (await flow.api.delete(address, params=query)).status_code == 204
    assert flow.store.versions(file["key"]) == []


@sending(Feature.USERS, without=Feature.VERSIONS)
async def test_without_delete_object_nothing_is_removed(flow: Flow, method: str) -> None:
    file = await flow.file(method)
    address, query = f"/v1/files/{file['id']}", {"object": "delete"}
    with without(flow, "s3:DeleteObject", "s3:DeleteObjectVersion"):
        told(await flow.api.delete(address, params=query), "s3:DeleteObject")
        assert flow.store.holds(file["key"])
    assert (await flow.api.delete(address, params=query)).status_code == 204
    assert not flow.store.holds(file["key"])


# --- Multipart


@having(Feature.USERS)
@pytest.mark.parametrize("action", ["s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"])
async def test_without_a_right_no_parts_are_dropped(flow: Flow, action: str) -> None:
    upload = await flow.announce("multipart")
    assert (await flow.send(upload["upload"])).is_success
    with without(flow, action):
        told(await flow.api.delete(f"/v1/uploads/{upload['id']}"), action)
    assert (await flow.api.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    found = flow.store.owner.list_multipart_uploads(Bucket=flow.store.bucket, Prefix=upload["key"])
    assert "Uploads" not in found


@having(Feature.USERS)
async def test_without_listing_parts_nothing_is_completed(flow: Flow) -> None:
    upload = await flow.announce("multipart")
    assert (await flow.send(upload["upload"])).is_success
    with without(flow, "s3:ListMultipartUploadParts"):
        told(await flow.confirm(upload), "s3:ListMultipartUploadParts")
        listed = await flow.api.get(f"/v1/uploads/{upload['id']}/parts")
        told(listed, "s3:ListMultipartUploadParts")
    assert (await flow.confirm(upload)).status_code == 200


@having(Feature.USERS)
async def test_without_put_object_no_parts_begin_nor_are_joined(flow: Flow) -> None:
    upload = await flow.announce("multipart")
    assert (await flow.send(upload["upload"])).is_success
    with without(flow, "s3:PutObject"):
        body = {"destination": "multipart", "filename": "a.png", "size": 5}
        told(await flow.api.post("/v1/uploads", json=body), "s3:PutObject")
        refused(await flow.send(upload["upload"]), 403, "AccessDenied")
        told(await flow.confirm(upload), "s3:PutObject")
        state = (await flow.api.get(f"/v1/uploads/{upload['id']}")).json()["state"]
        assert state == "pending"
    assert (await flow.confirm(upload)).status_code == 200


# --- Other settings


@asynccontextmanager
async def serving(flow: Flow, database_url: str, **changes: str) -> AsyncIterator[Flow]:
    """The service, told otherwise."""
    environ = {
        "DATABASE_URL": database_url,
        "CLAIMCHECK_AUTH": "none",
        "CLAIMCHECK_DESTINATIONS__PUT__METHOD": "put",
        **flow.store.service.environ(flow.store.bucket),
    }
    async with running(load_settings(environ | changes)) as api:
        yield replace(flow, api=api)


@having()
async def test_ready(flow: Flow) -> None:
    response = await flow.api.get("/readyz")
    assert response.status_code == 200
    assert response.json()["database"] == "ok"
    assert set(response.json()["buckets"].values()) == {"ok"}


async def not_ready(flow: Flow, bucket: str) -> str:
    """The service's word on the bucket."""
    response = await flow.api.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "ok"
    assert bucket not in response.text
    [words] = set(response.json()["buckets"].values())
    return str(words)


@having()
async def test_not_ready_without_its_bucket(flow: Flow, contract_database_url: str) -> None:
    async with serving(flow, contract_database_url, AWS_STORAGE_BUCKET_NAME="nowhere") as lost:
        assert "is not at the configured endpoint" in await not_ready(lost, "nowhere")
        upload = await lost.announce("put")
        refused(await lost.send(upload["upload"]), 404, "NoSuchBucket")


@having(Feature.USERS)
async def test_not_ready_in_a_bucket_that_keeps_it_out(
    flow: Flow, contract_database_url: str
) -> None:
    bucket = flow.store.bucket + OTHER
    async with serving(flow, contract_database_url, AWS_STORAGE_BUCKET_NAME=bucket) as locked_out:
        assert "refused the service's own request" in await not_ready(locked_out, bucket)
        upload = await locked_out.announce("put")
        refused(await locked_out.send(upload["upload"]), 403, "AccessDenied")


@having()
@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
    ],
)
async def test_keys_that_the_store_does_not_know(
    flow: Flow, contract_database_url: str, setting: str, code: str
) -> None:
    wrong = {setting: flipped(flow.store.service.environ("any")[setting])}
    async with serving(flow, contract_database_url, **wrong) as stranger:
        assert "refused the service's own request" in await not_ready(stranger, flow.store.bucket)
        upload = await stranger.announce("put")
        # Swift does not tell a wrong secret from an unknown key.
        refused(await stranger.send(upload["upload"]), 403, None if flow.kind.plain else code)
        told(await stranger.confirm(upload), "must" if flow.kind.plain else f"must set {setting}")
