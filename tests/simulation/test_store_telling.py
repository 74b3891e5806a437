"""Notifications of the simulated store, read as the service reads it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.bucket_events import arrivals, scans
from app.scans.proof import MARK
from tests.simulation.chance import Chance
from tests.simulation.store.body import Body
from tests.simulation.store.manners import ALL, AWS, Manners
from tests.simulation.store.simulated import Store
from tests.simulation.store.telling import Queue, Telling

KEY = "files/a b+c.txt"


class Quick(Chance):
    """Nothing takes long."""

    def latency(self, usual: float, *, steady: bool = False) -> float:
        return super().latency(usual, steady=steady) / 1000


def opened(of: Manners = AWS) -> Store:
    store = Store(of, clock=lambda: datetime(2026, 11, 29, tzinfo=UTC))
    store.add_bucket("b")
    return store


def arrive(store: Store, data: bytes = b"hello") -> None:
    bucket = store.buckets["b"]
    version = bucket.put(KEY, Body.real(data), {}, store.clock(), "test")
    store.created(bucket, KEY, version, "Put")


async def told(store: Store, data: bytes = b"hello", **how: Any) -> list[bytes]:
    """All that is delivered of a hundred arrivals."""
    bodies: list[bytes] = []

    async def deliver(body: bytes) -> None:
        bodies.append(body)

    telling = Telling(store, Quick(1), deliver, **how)
    telling.begin()
    for _ in range(100):
        arrive(store, data)
    await telling.quiet()
    return bodies


@pytest.mark.parametrize("of", ALL.values(), ids=ALL)
async def test_the_service_understands_what_a_store_tells(of: Manners) -> None:
    bodies = await told(opened(of), lost=0, twice=0)
    assert len(bodies) == 100
    assert {name for body in bodies for name in arrivals(body)} >= {("b", KEY)}


async def test_some_is_lost_and_some_comes_twice() -> None:
    assert len(await told(opened(), lost=0.5, twice=0)) in range(30, 70)
    assert len(await told(opened(), lost=0, twice=0.5)) in range(130, 170)


async def test_what_is_not_taken_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.store.telling._PAUSES", (0, 0))
    tried = []

    async def deliver(body: bytes) -> None:
        tried.append(body)
        if len(tried) < 3:
            raise ConnectionResetError

    store = opened()
    telling = Telling(store, Quick(1), deliver, lost=0, twice=0)
    telling.begin()
    arrive(store)
    await telling.quiet()
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("data", "verdict"), [(b"hello", "NO_THREATS_FOUND"), (MARK, "THREATS_FOUND")]
)
async def test_scans_are_tagged_and_told(data: bytes, verdict: str) -> None:
    store = opened()
    bodies = await told(store, data, scans=True, lost=0, twice=0)
    assert sum(bool(scans(body)) for body in bodies) == 100
    for version in store.buckets["b"].keys[KEY]:
        assert list(version.tags.values()) == [verdict]


async def test_messages_come_again_until_they_are_deleted() -> None:
    queue = Queue(opened(), Chance(1))
    await queue.put(b"one")
    await queue.put(b"two")
    async with queue.opener(lambda: None)(None, "url") as client:
        asking = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 0, "VisibilityTimeout": 0}
        first = (await client.receive_message(**asking))["Messages"]
        again = (await client.receive_message(**asking | {"VisibilityTimeout": 60}))["Messages"]
        assert {m["Body"] for m in first} == {m["Body"] for m in again} == {"one", "two"}
        assert {m["Attributes"]["ApproximateReceiveCount"] for m in again} == {"2"}
        assert await client.receive_message(**asking) == {}
        gone = {"Id": "0", "ReceiptHandle": first[0]["ReceiptHandle"]}
        await client.delete_message_batch(Entries=[gone])
    assert len(queue) == 1
    await asyncio.sleep(0)
