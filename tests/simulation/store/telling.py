# ruff: noqa: N803 (the parameters have the names that boto3 gives them)
"""The store tells of objects that have arrived, as stores do: late, twice, out of order, or never.

By HTTP, to the service's door, or into a queue, from which a worker reads. Notifications are of the
shapes that AWS and Ceph RGW have (app/core/bucket_events.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from app.core.scans import GUARDDUTY_TAG
from app.embedded.s3_error import S3Error
from app.scans.proof import MARK
from tests.simulation.chance import Chance
from tests.simulation.store.simulated import Created, Store

# Seconds until a delivery that failed is tried again (SNS has three at once, then twenty).
_PAUSES: Final = (1.0, 20.0, 20.0)


@dataclass
class Telling:
    """Tells `deliver` of what arrives in the store, which raises where it is not taken.

    With `scans` it is GuardDuty too: it tags what has arrived with its verdict, and tells of that.
    """

    store: Store
    chance: Chance
    deliver: Callable[[bytes], Awaitable[None]]
    scans: bool = False
    lost: float = 0.1
    twice: float = 0.1
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self) -> None:
        """Listen to the store."""
        self.store.listeners.append(self._hear)

    async def quiet(self) -> None:
        """Wait until everything has been told."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        """Tell nothing more."""
        for task in list(self._tasks):
            task.cancel()
        await self.quiet()

    def _hear(self, created: Created) -> None:
        self._tell(notification(self.store, created))
        if self.scans:
            self._start(self._scan(created))

    def _tell(self, body: bytes) -> None:
        if self.chance.happens(self.lost):
            return
        for _ in range(2 if self.chance.happens(self.twice) else 1):
            self._start(self._deliver(body, self.chance.latency(1.0)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, body: bytes, after: float) -> None:
        for pause in (after, *_PAUSES):
            await asyncio.sleep(pause)
            try:
                await self.deliver(body)
            except (ConnectionError, TimeoutError):
                continue
            return

    async def _scan(self, created: Created) -> None:
        await asyncio.sleep(self.chance.latency(5.0))
        versions = self.store.buckets[created.bucket].keys.get(created.key, [])
        for version in versions:
            if version.id == created.version_id:
                is_marked = MARK in version.body.head
                verdict = "THREATS_FOUND" if is_marked else "NO_THREATS_FOUND"
                version.tags[GUARDDUTY_TAG] = verdict
                self._tell(scan_notification(created))


def notification(store: Store, created: Created) -> bytes:
    """The text in which the store tells of an arrival."""
    key = created.key if store.manners.name == "rgw" else quote_plus(created.key, safe="/")
    record = {
        "eventName": f"ObjectCreated:{created.how}",
        "eventTime": created.at.isoformat(),
        "s3": {
            "bucket": {"name": created.bucket},
            "object": {"key": key, "size": created.size, "versionId": created.version_id},
        },
    }
    return json.dumps({"Records": [record]}).encode()


def scan_notification(created: Created) -> bytes:
    """The text in which EventBridge tells of GuardDuty's scan."""
    scanned = {"bucketName": created.bucket, "objectKey": created.key}
    kind = "GuardDuty Malware Protection Object Scan Result"
    return json.dumps({"detail-type": kind, "detail": {"s3ObjectDetails": scanned}}).encode()


@dataclass
class _Message:
    number: int
    body: bytes
    visible_at: float = 0.0
    receives: int = 0


@dataclass
class Queue:
    """A queue like SQS: a message comes again until it is deleted, and in no order."""

    store: Store
    chance: Chance
    _messages: list[_Message] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return len(self._messages)

    async def put(self, body: bytes) -> None:
        self._count += 1
        self._messages.append(_Message(self._count, body))

    def opener(self, process_of: Callable[[], Any]) -> Callable[..., Any]:
        """Make the stand-in for `app.upkeep.queue.open_queue`."""

        @asynccontextmanager
        async def open_queue(res: Any, url: str) -> AsyncIterator[_QueueClient]:
            yield _QueueClient(self, process_of())

        return open_queue

    def take(self, count: int, hidden: float) -> list[dict[str, Any]]:
        """Up to so many messages, which nobody else sees for `hidden` seconds."""
        now = asyncio.get_running_loop().time()
        visible = [message for message in self._messages if message.visible_at <= now]
        taken = []
        while visible and len(taken) < count:
            message = visible.pop(self.chance.whole(0, len(visible) - 1))
            message.visible_at = now + hidden
            message.receives += 1
            taken.append(
                {
                    "MessageId": f"message {message.number}",
                    "ReceiptHandle": f"{message.number}",
                    "Body": message.body.decode(),
                    "Attributes": {"ApproximateReceiveCount": str(message.receives)},
                }
            )
        return taken

    def delete(self, handles: Sequence[str]) -> None:
        self._messages = [m for m in self._messages if str(m.number) not in handles]


class _QueueClient:
    def __init__(self, queue: Queue, process: Any) -> None:
        self._queue, self._process = queue, process

    async def receive_message(
        self, *, MaxNumberOfMessages: int, WaitTimeSeconds: int, VisibilityTimeout: int, **_: Any
    ) -> dict[str, Any]:
        loop, queue = asyncio.get_running_loop(), self._queue
        until = loop.time() + WaitTimeSeconds

        def effect() -> list[dict[str, Any]]:
            return queue.take(MaxNumberOfMessages, VisibilityTimeout)

        while True:
            messages = await self._pass("receive_message", effect)
            if messages:
                return {"Messages": messages}
            if loop.time() >= until:
                return {}
            await asyncio.sleep(min(1.0, until - loop.time()))

    async def delete_message_batch(
        self, *, Entries: Sequence[Mapping[str, str]], **_: Any
    ) -> dict[str, Any]:
        def effect() -> None:
            self._queue.delete([entry["ReceiptHandle"] for entry in Entries])

        await self._pass("delete_message_batch", effect)
        return {}

    async def _pass(self, name: str, effect: Callable[[], Any]) -> Any:
        try:
            return await self._queue.store.passed(self._process, "store", name, effect, seconds=30)
        except S3Error as error:  # of a fault
            response: Any = {
                "Error": {"Code": error.code, "Message": error.message},
                "ResponseMetadata": {"HTTPStatusCode": error.status, "HTTPHeaders": {}},
            }
            raise ClientError(response, name) from None
