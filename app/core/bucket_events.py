"""Notifications of stores: which objects they say have arrived. Pure.

As AWS, Ceph RGW and MinIO write them (AWS userguide, "Event message structure"; Ceph, radosgw,
"Bucket Notifications"; MinIO, "Publish events to a webhook"), directly, wrapped by SNS, or as
EventBridge has them.
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

_CREATED: Final = "ObjectCreated:"
_SCANNED: Final = "GuardDuty Malware Protection Object Scan Result"
# SNS may wrap what SNS has wrapped.
_WRAPPINGS: Final = 3
_MAX_KEY: Final = 1024  # bytes, in every S3
_MAX_NAMES: Final = 10_000

Names = set[tuple[str, str]]


class UnreadableEvent(ValueError):
    """It is no notification of an S3 store; the message says why."""


def arrivals(text: str | bytes) -> Names:
    """Bucket and key of each object that the notification says has arrived; other events have none.

    A key that may be percent-encoded is there both as it came and decoded: AWS and MinIO encode
    keys, Ceph RGW and EventBridge do not. Raises UnreadableEvent.
    """
    return _names(text, "arrived")


def scans(text: str | bytes) -> Names:
    """Bucket and key of each object that GuardDuty says it has scanned (AWS GuardDuty userguide,
    "Monitoring S3 object scans with Amazon EventBridge"); other notifications have none.

    The verdict is not taken from here: it is in the object's tag. Raises UnreadableEvent.
    """
    return _names(text, "scanned")


def _names(text: str | bytes, wanted: str) -> Names:
    names = {
        (bucket, key)
        for what, bucket, key in _told(text, _WRAPPINGS)
        if what == wanted and _is_key(bucket) and _is_key(key)
    }
    if len(names) > _MAX_NAMES:
        raise UnreadableEvent("it tells of too many objects at once")
    return names


def _told(text: str | bytes, wrappings: int) -> Iterator[tuple[str, str, str]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableEvent("it is not JSON") from None
    if not isinstance(found, dict):
        raise UnreadableEvent("it is not a JSON object")
    if "Records" in found:
        for record in _list(found["Records"]):
            yield from (("arrived", *name) for name in _of_record(record))
    elif "detail-type" in found:
        if found["detail-type"] == "Object Created":
            detail = _member(found, "detail")
            bucket, key = (
                _text(_member(detail, "bucket"), "name"),
                _text(_member(detail, "object"), "key"),
            )
            yield "arrived", bucket, key
        elif found["detail-type"] == _SCANNED:
            scanned = _member(_member(found, "detail"), "s3ObjectDetails")
            yield "scanned", _text(scanned, "bucketName"), _text(scanned, "objectKey")
    elif found.get("Type") == "Notification":
        if wrappings == 0:
            raise UnreadableEvent("it is wrapped too often")
        yield from _told(_text(found, "Message"), wrappings - 1)
    # What S3 sends when notifications are set up, and SNS when somebody subscribes or leaves.
    elif found.get("Event") != "s3:TestEvent" and found.get("Type") not in _OF_SUBSCRIPTIONS:
        raise UnreadableEvent("it has neither Records nor an EventBridge detail")


_OF_SUBSCRIPTIONS: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


def _of_record(record: Any) -> Iterator[tuple[str, str]]:
    # Newer versions of Ceph begin it with `s3:`, as MinIO does.
    if not _text(record, "eventName").removeprefix("s3:").startswith(_CREATED):
        return
    s3 = _member(record, "s3")
    bucket, key = _text(_member(s3, "bucket"), "name"), _text(_member(s3, "object"), "key")
    for decoded in (key, unquote_plus(key), unquote(key)):
        yield bucket, decoded


def _is_key(text: str) -> bool:
    """Whether it may name a bucket or an object, and can be asked for in the database."""
    try:
        return 0 < len(text.encode()) <= _MAX_KEY and "\0" not in text
    except UnicodeEncodeError:
        return False


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableEvent("its Records are no list")
    return value


def _member(parent: Any, name: str) -> Any:
    if not isinstance(parent, dict) or name not in parent:
        raise UnreadableEvent(f"it lacks {name}")
    return parent[name]


def _text(parent: Any, name: str) -> str:
    value = _member(parent, name)
    if not isinstance(value, str):
        raise UnreadableEvent(f"its {name} is no text")
    return value
