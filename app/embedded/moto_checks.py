"""Refuses requests for what is not there, where moto fails or does as if it were.

Each takes moto's backend, and is called with the store's lock held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from moto.s3.models import FakeKey, S3Backend

from app.embedded.gate_checks import CopySource
from app.embedded.s3_error import S3Error, invalid_argument

_NOT_THERE = ("NoSuchKey", "The specified key does not exist.")
_NO_VERSION = ("NoSuchVersion", "The specified version does not exist.")


class Part(NamedTuple):
    """A part of an object as bytes of it; `of` is how many parts it has, None without any."""

    first: int
    size: int
    of: int | None


def check_upload(
    backend: S3Backend, method: str, bucket: str, key: str, upload_id: str | None
) -> None:
    """Raises S3Error (404) for an upload in parts that is not under way for this key."""
    found = backend.buckets.get(bucket)
    if upload_id is None or found is None:
        return
    upload = found.multiparts.get(upload_id)
    if upload is not None and upload.key_name == key:
        return
    if upload is None and method == "POST" and key in found.keys:
        # A repeated Complete: moto answers as it did the first time.
        made_by = getattr(found.keys[key], "multipart", None)
        if made_by is not None and made_by.id == upload_id:
            return
    message = (
        "The specified multipart upload does not exist. The upload ID might be invalid, or the "
        "multipart upload might have been aborted or completed."
    )
    raise S3Error(404, "NoSuchUpload", message, UploadId=upload_id)


def check_copy(backend: S3Backend, source: CopySource, headers: Mapping[str, str]) -> None:
    """Raises S3Error: 404 for a source that is not there, 416 for bytes that it does not have, 412
    for one that is not as the request demands.
    """
    if source.bucket not in backend.buckets:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist.")
    found = backend.get_object(source.bucket, source.key, version_id=source.version_id)
    if found is None:
        raise S3Error(404, *(_NOT_THERE if source.version_id is None else _NO_VERSION))
    if source.range and not source.range[0] <= source.range[1] < found.size:
        message = "The requested range is not satisfiable."
        raise S3Error(416, "InvalidRange", message, ActualObjectSize=str(found.size))
    etag = found.etag.strip('"')
    wanted = headers.get("x-amz-copy-source-if-match", etag).strip('"')
    unwanted = headers.get("x-amz-copy-source-if-none-match")
    if wanted not in (etag, "*") or (unwanted and unwanted.strip('"') in (etag, "*")):
        message = "At least one of the pre-conditions you specified did not hold"
        raise S3Error(412, "PreconditionFailed", message)


def check_page(backend: S3Backend, parameters: Mapping[str, str]) -> None:
    """Raises S3Error (400) for a continuation token that this process has not made."""
    token = parameters.get("continuation-token")
    if token is not None and token not in backend._pagination_tokens:
        raise invalid_argument("The continuation token provided is incorrect")


def check_version(backend: S3Backend, bucket: str, key: str, version_id: str | None) -> None:
    """Raises S3Error (404) for a version that is not there."""
    found = backend.buckets.get(bucket)
    if version_id is None or found is None:
        return
    versions = found.keys.getlist(key, [])
    if not any(str(each.version_id) == version_id for each in versions):
        raise S3Error(404, *_NO_VERSION)


def part_of(
    backend: S3Backend, bucket: str, key: str, version_id: str | None, number: int
) -> Part | None:
    """The numbered part of an object, None where there is no such object.

    One that was sent whole is its own first part. Raises S3Error (400 InvalidPart) for a part that
    it does not have, as `ceph/s3-tests` expects; AWS answers 416 InvalidPartNumber.
    """
    if bucket not in backend.buckets:
        return None
    found = backend.get_object(bucket, key, version_id=version_id)
    if not isinstance(found, FakeKey):
        return None
    joined = getattr(found.multipart, "joined_parts", None)
    parts = joined or [(1, 0, found.size)]
    for each, first, size in parts:
        if each == number:
            return Part(first, size, len(joined) if joined else None)
    message = "The requested part does not exist."
    raise S3Error(400, "InvalidPart", message)
