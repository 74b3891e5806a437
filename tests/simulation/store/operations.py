# ruff: noqa: N803 (the parameters have the names that boto3 gives them)
"""The calls of S3 that the service sends with a client: parameters in, an answer out, as botocore
has them. Each raises S3Error.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from app.embedded.s3_error import S3Error
from tests.simulation.store.body import Body
from tests.simulation.store.state import NULL, Version

if TYPE_CHECKING:
    from tests.simulation.store.simulated import Store

Answer = dict[str, Any]
_HEADERS: Final = {
    "ContentType": "content-type",
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
}


class ReadBody:
    """The body of an object that is read, as aiohttp gives it: in pieces."""

    def __init__(self, body: Body) -> None:
        self._body, self._at = body, 0
        self.content = self

    async def __aenter__(self) -> "ReadBody":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, count: int) -> bytes:
        data = self._body.read(self._at, min(self._at + count, self._body.length))
        self._at += len(data)
        return data


def head_bucket(store: "Store", who: str, Bucket: str) -> Answer:
    store.bucket(Bucket)
    return {}


def get_object(
    store: "Store", who: str, Bucket: str, Key: str, VersionId: str | None = None
) -> Answer:
    found = store.bucket(Bucket).find(Key, VersionId)
    return {"ContentLength": found.size, "ETag": found.etag, "Body": ReadBody(found.body)}


def get_object_tagging(
    store: "Store", who: str, Bucket: str, Key: str, VersionId: str | None = None
) -> Answer:
    tags = store.manners.tags
    bucket = store.bucket(Bucket)
    if tags == "none":
        return {"TagSet": []}
    found = bucket.find(Key, VersionId)
    if tags == "broken":
        raise S3Error(500, "500", "")
    return {"TagSet": [{"Key": name, "Value": value} for name, value in found.tags.items()]}


def delete_object(
    store: "Store", who: str, Bucket: str, Key: str, VersionId: str | None = None
) -> Answer:
    bucket = store.bucket(Bucket)
    if VersionId is not None and store.manners.denies_bucket and store.happens(0.05):
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist.")
    if not bucket.versioned and Key not in bucket.keys and store.manners.name == "swift":
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    bucket.delete(Key, VersionId, store.clock(), who)
    return {}


def list_objects_v2(
    store: "Store",
    who: str,
    Bucket: str,
    Prefix: str = "",
    StartAfter: str = "",
    ContinuationToken: str = "",
    MaxKeys: int = 1000,
) -> Answer:
    bucket = store.bucket(Bucket)
    after = ContinuationToken.removeprefix("after ") or StartAfter
    limit = min(MaxKeys, store.page)
    keys = [
        key
        for key in sorted(bucket.keys, key=str.encode)
        if key.startswith(Prefix) and key.encode() > after.encode() and bucket.latest(key)
    ]
    entries = [{"Key": key, **_entry(store, bucket.keys[key][0])} for key in keys[:limit]]
    said: Answer = {"KeyCount": len(entries), "IsTruncated": len(keys) > limit}
    if len(keys) > limit:
        said["NextContinuationToken"] = f"after {keys[limit - 1]}"
    return said | ({"Contents": entries} if entries else {})


def list_object_versions(
    store: "Store",
    who: str,
    Bucket: str,
    Prefix: str = "",
    KeyMarker: str = "",
    VersionIdMarker: str = "",
    MaxKeys: int = 1000,
) -> Answer:
    if not store.manners.lists_versions:
        raise S3Error(501, "NotImplemented", "There are no versions here.")
    bucket = store.bucket(Bucket)
    found = bucket.versions(Prefix, KeyMarker, VersionIdMarker)
    listed = list(islice(found, min(MaxKeys, store.page) + 1))
    more = len(listed) > min(MaxKeys, store.page)
    listed = listed[: min(MaxKeys, store.page)]
    said: Answer = {"IsTruncated": more, "KeyMarker": KeyMarker}
    for key, version in listed:
        entry = {
            "Key": key,
            "VersionId": version.id,
            "IsLatest": bucket.keys[key][0] is version,
            "LastModified": version.at.replace(microsecond=0),
        }
        if version.marker:
            said.setdefault("DeleteMarkers", []).append(entry)
        else:
            said.setdefault("Versions", []).append(entry | _entry(store, version, quoted=True))
    if more:
        said["NextKeyMarker"], last = listed[-1]
        said["NextVersionIdMarker"] = last.id
    return said


def _entry(store: "Store", version: Version, *, quoted: bool = False) -> Answer:
    bare = store.manners.bare_list_etags and not quoted
    return {
        "Size": version.size,
        "ETag": version.etag.strip('"') if bare else version.etag,
        "LastModified": version.at.replace(microsecond=0),
    }


def create_multipart_upload(
    store: "Store",
    who: str,
    Bucket: str,
    Key: str,
    Metadata: Mapping[str, str] | None = None,
    **shape: str,
) -> Answer:
    headers = {_HEADERS[name]: value for name, value in shape.items() if name in _HEADERS}
    headers |= {f"x-amz-meta-{name}": value for name, value in (Metadata or {}).items()}
    return {"UploadId": store.bucket(Bucket).create_upload(Key, headers, store.clock())}


def list_multipart_uploads(
    store: "Store",
    who: str,
    Bucket: str,
    Prefix: str = "",
    KeyMarker: str = "",
    UploadIdMarker: str = "",
) -> Answer:
    uploads = sorted(
        store.bucket(Bucket).uploads.values(), key=lambda u: (u.key.encode(), u.at, u.id)
    )
    named = [upload for upload in uploads if upload.key.startswith(Prefix)]
    if UploadIdMarker:
        places = [number for number, upload in enumerate(named) if upload.id == UploadIdMarker]
        named = named[places[0] + 1 :] if places else named
    listed = named[: store.page]
    said: Answer = {"IsTruncated": len(named) > len(listed)}
    if listed:
        said["Uploads"] = [
            {"Key": upload.key, "UploadId": upload.id, "Initiated": upload.at} for upload in listed
        ]
        said["NextKeyMarker"], said["NextUploadIdMarker"] = listed[-1].key, listed[-1].id
    return said


def list_parts(
    store: "Store", who: str, Bucket: str, Key: str, UploadId: str, PartNumberMarker: int = 0
) -> Answer:
    upload = store.bucket(Bucket).upload(Key, UploadId, store.manners.no_parts)
    parts = [part for part in upload.listed() if part.number > PartNumberMarker]
    # Of parts with one number, none is left to the next page.
    last = parts[store.page - 1].number if len(parts) > store.page else None
    listed = [part for part in parts if last is None or part.number <= last]
    said: Answer = {"UploadId": UploadId, "IsTruncated": len(listed) < len(parts)}
    if listed:
        said["NextPartNumberMarker"] = listed[-1].number
        said["Parts"] = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                "Size": part.body.length,
                "LastModified": part.at,
            }
            for part in listed
        ]
    return said


def complete_multipart_upload(
    store: "Store",
    who: str,
    Bucket: str,
    Key: str,
    UploadId: str,
    MultipartUpload: Mapping[str, Any],
) -> Answer:
    manners, bucket, now = store.manners, store.bucket(Bucket), store.clock()
    named = [(part["PartNumber"], part["ETag"]) for part in MultipartUpload["Parts"]]
    again = manners.complete_twice in ("again", "same") or (
        manners.complete_twice == "either" and (store.chance is None or store.happens(0.5))
    )
    fails = manners.late_errors and store.happens(0.02)
    if fails and store.happens(0.5):
        raise S3Error(500, "InternalError", "We encountered an internal error.")
    shown_at = now + store.late(2.0) if manners.object_comes_late and store.happens(0.3) else now
    known = UploadId in bucket.uploads
    version = bucket.complete(Key, UploadId, named, now, who, shown_at=shown_at, again=again)
    if known:
        store.created(bucket, Key, version, "CompleteMultipartUpload")
    if fails:
        raise S3Error(500, "InternalError", "We encountered an internal error.")
    said = {"ETag": version.etag, "Key": Key}
    return said if version.id == NULL else said | {"VersionId": version.id}


def abort_multipart_upload(
    store: "Store", who: str, Bucket: str, Key: str, UploadId: str
) -> Answer:
    store.bucket(Bucket).abort(Key, UploadId, store.clock(), who)
    return {}


OPERATIONS: Final[dict[str, Callable[..., Answer]]] = {
    function.__name__: function
    for function in (
        head_bucket,
        get_object,
        get_object_tagging,
        delete_object,
        list_objects_v2,
        list_object_versions,
        create_multipart_upload,
        list_multipart_uploads,
        list_parts,
        complete_multipart_upload,
        abort_multipart_upload,
    )
}
# Of the calls that come in pages: the parameter that goes on, and the answer's name of it.
PAGES: Final = {
    "list_object_versions": {
        "KeyMarker": "NextKeyMarker",
        "VersionIdMarker": "NextVersionIdMarker",
    },
    "list_multipart_uploads": {
        "KeyMarker": "NextKeyMarker",
        "UploadIdMarker": "NextUploadIdMarker",
    },
    "list_parts": {"PartNumberMarker": "NextPartNumberMarker"},
}
