"""Notifications as stores write them, and as nobody should."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.bucket_events import UnreadableEvent, arrivals


def record(name: str = "ObjectCreated:Put", key: str = "files/a.txt") -> dict[str, Any]:
    found = {"bucket": {"name": "bkt"}, "object": {"key": key, "size": 5, "versionId": "v2"}}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": found}


def records(*found: Any) -> str:
    return json.dumps({"Records": list(found)})


def by_sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "1", "Message": message})


def by_eventbridge(kind: str = "Object Created") -> str:
    detail = {"bucket": {"name": "bkt"}, "object": {"key": "files/a+b%20.txt", "size": 5}}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail})


# As a Ceph RGW 16.2 sends it.
CEPH = records({**record("ObjectCreated:Post", "files/é b+c%20.txt"), "eventSource": "ceph:s3"})
MINIO = json.dumps(
    {
        "EventName": "s3:ObjectCreated:CompleteMultipartUpload",
        "Key": "bkt/files/a b.txt",
        "Records": [record("s3:ObjectCreated:CompleteMultipartUpload", "files%2Fa+b.txt")],
    }
)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (records(record()), {"files/a.txt"}),
        (records(record(), record(), record(key="b")), {"files/a.txt", "b"}),
        (CEPH, {"files/é b+c%20.txt", "files/é b c .txt", "files/é b+c .txt"}),
        (MINIO, {"files%2Fa+b.txt", "files/a b.txt", "files/a+b.txt"}),
        (by_sns(records(record())), {"files/a.txt"}),
        (by_sns(by_eventbridge()), {"files/a+b%20.txt"}),
        # EventBridge encodes no key.
        (by_eventbridge(), {"files/a+b%20.txt"}),
    ],
)
def test_what_has_arrived(text: str, keys: set[str]) -> None:
    assert arrivals(text) == {("bkt", key) for key in keys}
    assert arrivals(text.encode()) == arrivals(text)


@pytest.mark.parametrize(
    "text",
    [
        records(record("ObjectRemoved:Delete"), record("s3:ObjectRemoved:DeleteMarkerCreated")),
        records(record("ObjectRestore:Completed"), record("s3:ObjectAccessed:Get")),
        records(),
        by_eventbridge("Object Deleted"),
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bkt"}),
        json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns"}),
        # No key, and nothing that PostgreSQL could be asked for.
        records(record(key=""), record(key="a\0b"), record(key="\ud800"), record(key="a" * 1025)),
    ],
)
def test_other_events_tell_of_no_arrival(text: str) -> None:
    assert arrivals(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        *("", "nothing", "[]", "null", "{}", '{"Records": {}}', '{"Records": [1]}'),
        records({"eventName": "ObjectCreated:Put"}),
        records({**record(), "eventName": 1}),
        records({**record(), "s3": {"bucket": {"name": 1}, "object": {"key": "a"}}}),
        by_sns("nothing"),
        by_sns(by_sns(by_sns(by_sns(records(record()))))),
        '{"Type": "Notification"}',
        '{"detail-type": "Object Created", "detail": []}',
        "[" * 100_000,
        json.dumps({"Records": [record(key=str(n)) for n in range(10_001)]}),
    ],
)
def test_what_nobody_can_read(text: str) -> None:
    with pytest.raises(UnreadableEvent):
        arrivals(text)
    with pytest.raises(UnreadableEvent):
        arrivals(b"\xff" + text.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("Records", "s3", "bucket", "object", "key", "name", "eventName"),
                    *("Type", "Message", "detail-type", "detail", "Event"),
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_document_breaks_it(document: Any) -> None:
    try:
        found = arrivals(json.dumps(document))
    except UnreadableEvent:
        return
    assert all(isinstance(word, str) and word for name in found for word in name)
