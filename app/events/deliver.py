"""Delivers events to webhooks: at least once, those of one subject in order, others side by side.

1. Deliveries that are due are claimed for a while, and the claim is committed.
2. They are sent, many at once.
3. What became of them is written, for many at once. Whoever dies before that leaves a lease that
   lapses: somebody sends the event again, under the same `webhook-id`, and none of its subject
   overtakes it.

A webhook that does not answer has one try at a time under way, so that it holds up nobody else.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import aiohttp
from pydantic_core import to_json

from app.core.retries import pause_after
from app.core.webhook_signature import signed_headers
from app.db import deliveries as db_deliveries
from app.db import webhooks as db_webhooks
from app.db.connections import Connection
from app.db.deliveries import Claim, Claimed, Settled
from app.errors import DatabaseUnavailable
from app.events.send import Answer, open_client, post
from app.events.sequence import sequence
from app.events.show import events_json
from app.events.webhooks import end, secrets_of
from app.logs.log import Actor, current_actor, get_logger
from app.models.webhooks import DeliveryState, Ended
from app.runtime.resources import Resources

_log: Final = get_logger("webhooks")

# How long a claim holds: what was claimed is sent within the first half of it, or not at all, and
# the try has ended before the lease has.
LEASE: Final = timedelta(seconds=30)
_BEGIN_WITHIN: Final = LEASE.total_seconds() / 2
# Tries under way: of one webhook at first, and at most; of all. Each has room for one in any case.
_FIRST: Final = 8
_MOST: Final = 96
_AT_ONCE: Final = 256
# An answer within so many seconds makes room for one more.
_PROMPT: Final = 1.0
# What has ended within so many seconds is written together, and what takes its place claimed.
_GATHER: Final = 0.01
_LOOK_EVERY: Final = 1.0
# A webhook that has taken nothing for so long is switched off.
FAILING_FOR: Final = timedelta(days=5)
_UNSIGNED: Final = (
    "Not sent: CLAIMCHECK_SECRET_KEY is not the one that the secret was made with. Give the "
    "receiver a new one (POST /v1/webhooks/{id}/rotate-secret)."
)


@dataclass
class _Place:
    """How many tries of a webhook may be under way, by how it answers."""

    most: int = _FIRST

    def learn(self, answer: Answer) -> None:
        if answer.status is None:
            self.most = max(1, self.most // 2)
        elif answer.seconds < _PROMPT:
            self.most = min(_MOST, self.most + 1)
        else:
            self.most = min(_FIRST, self.most)


@dataclass
class Deliverer:
    """The tries that this process has under way, and what it knows of each webhook."""

    res: Resources
    client: aiohttp.ClientSession
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _places: dict[UUID, _Place] = field(default_factory=dict)
    _under_way: Counter[UUID] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: list[tuple[Claimed, Answer, Settled]] = field(default_factory=list)

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until it is to stop; what is under way is brought to its end then."""
        watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._stop(stopping))]
        try:
            while not stopping.is_set():
                self.news.clear()
                await _attempt(self._step)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self.news.wait()
                await asyncio.sleep(_GATHER)
            await self.finish()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)

    async def finish(self) -> Counter[str]:
        """Let what is under way end, and write what became of it. Raises DatabaseUnavailable."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        return await self._settle()

    async def abandon(self) -> None:
        """End what is under way, as if this process had died."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def run_once(self, stopping: asyncio.Event) -> Counter[str]:
        """Deliver what is due now, and what comes due by that; how many tries ended in what."""
        counts: Counter[str] = Counter()
        await sequence(self.res)
        while not stopping.is_set():
            counts += await self._step()
            if not self._tasks and not self._ended:
                break
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(_GATHER)
        return counts + await self.finish()

    async def _watch(self) -> None:
        """Put events in order whenever some were written, and each second. What there is of very
        many is delivered meanwhile.
        """
        while True:
            event = self.res.wake.next()
            await _attempt(partial(sequence, self.res))
            self.news.set()
            await self.res.wake.wait(event, _LOOK_EVERY)

    async def _stop(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.news.set()

    async def _step(self) -> Counter[str]:
        """Write what has ended, and begin what may begin. Raises DatabaseUnavailable."""
        counts = await self._settle()
        await self._begin()
        return counts

    async def _begin(self) -> None:
        """Claim what may begin, and begin it."""
        # Looked at before the claim, as the lease begins then.
        until = time.monotonic() + _BEGIN_WITHIN
        now = self.res.clock()
        async with self.res.db.connection() as db:
            found = await self._claim(db, now)
        # One event may go to many webhooks.
        events = {each.event.id: each.event for each in found.claimed}
        shown = await events_json(self.res, list(events.values()))
        bodies = dict(zip(events, map(_body, shown), strict=True))
        for claimed in found.claimed:
            webhook_id = claimed.webhook.id
            self._places.setdefault(webhook_id, _Place())
            self._under_way[webhook_id] += 1
            task = asyncio.create_task(self._deliver(claimed, bodies[claimed.event.id], until))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        async with self.res.db.connection() as db:
            await db_deliveries.free(db, found.later, now)

    async def _claim(self, db: Connection, now: datetime) -> Claim:
        """Deliveries for the room that there is."""
        limits = {
            webhook_id: max(place.most - self._under_way[webhook_id], 0)
            for webhook_id, place in self._places.items()
        }
        if self._under_way.total() >= _AT_ONCE:
            limits = {
                webhook_id: min(limit, 0 if self._under_way[webhook_id] else 1)
                for webhook_id, limit in limits.items()
            }
        first = _FIRST if self._under_way.total() < _AT_ONCE else 1
        return await db_deliveries.claim(db, now, now + LEASE, limits, most=first, total=_AT_ONCE)

    async def _deliver(self, claimed: Claimed, body: bytes, until: float) -> None:
        webhook_id = claimed.webhook.id
        try:
            now = self.res.clock()
            answer = await self._send(claimed, body, until)
            if answer is None:
                return
            self._places[webhook_id].learn(answer)
            self._ended.append((claimed, answer, self._outcome(claimed, answer, now)))
        finally:
            self._under_way[webhook_id] -= 1
            self.news.set()

    async def _send(self, claimed: Claimed, body: bytes, until: float) -> Answer | None:
        """One try; None where it is too late to begin it under this lease."""
        secrets = secrets_of(self.res, claimed.webhook)
        if not secrets:
            return Answer(None, _UNSIGNED, None, 0.0)
        timestamp = int(self.res.clock().timestamp())
        headers = signed_headers(secrets, str(claimed.event.event_id), timestamp, body)
        # As late as can be: the process may have stood still.
        if time.monotonic() > until:
            return None
        return await post(self.client, claimed.webhook.url, headers, body)

    def _outcome(self, claimed: Claimed, answer: Answer, tried_at: Any) -> Settled:
        now = self.res.clock()
        state, due_at = DeliveryState.DELIVERED, now
        if answer.error is not None:
            failures = claimed.failures + 1
            pause = pause_after(failures, answer.retry_after, now, random.random())  # noqa: S311
            state = DeliveryState.DEAD if pause is None else DeliveryState.PENDING
            due_at = now + (pause or timedelta())
        return Settled(
            webhook_id=claimed.webhook.id,
            event=claimed.event.id,
            lease=claimed.lease,
            state=state.value,
            due_at=due_at,
            tried_at=tried_at,
            status=answer.status,
            error=answer.error,
            took_ms=round(answer.seconds * 1000),
        )

    async def _settle(self) -> Counter[str]:
        """Write what became of the tries that have ended; how many ended in what."""
        ended = self._ended[:]
        if not ended:
            return Counter()
        async with self.res.db.connection() as db:
            await db_deliveries.settle(db, [each for _, _, each in ended], self.res.clock())
        del self._ended[: len(ended)]
        await self._judge(ended)
        return Counter("failed" if each.error else "delivered" for _, _, each in ended)

    async def _judge(self, ended: Sequence[tuple[Claimed, Answer, Settled]]) -> None:
        """Note which webhooks take nothing, and switch off those that are gone for good."""
        now = self.res.clock()
        webhooks = {claimed.webhook.id: claimed.webhook for claimed, _, _ in ended}
        well = {claimed.webhook.id for claimed, answer, _ in ended if answer.error is None}
        gone = {claimed.webhook.id for claimed, answer, _ in ended if answer.status == 410}
        for webhook_id, webhook in webhooks.items():
            if webhook_id in gone:
                await end(self.res, webhook, Ended.GONE)
            elif webhook_id in well:
                if webhook.failing_since is not None:
                    async with self.res.db.connection() as db:
                        await db_webhooks.note_success(db, webhook_id)
            elif webhook.failing_since is None:
                async with self.res.db.connection() as db:
                    await db_webhooks.note_failure(db, webhook_id, now)
            elif webhook.failing_since < now - FAILING_FOR:
                await end(self.res, webhook, Ended.FAILING, now - FAILING_FOR)


async def _attempt(work: Callable[[], Awaitable[object]]) -> None:
    """Do it, and where it fails, wait a while. It will be done again."""
    try:
        await work()
    except DatabaseUnavailable as problem:
        _log.warning("deliveries_wait", detail=problem.detail, reason=problem.reason)
        await asyncio.sleep(_LOOK_EVERY)
    except Exception:
        # What one event or one webhook brings about must not stop all others.
        _log.exception("unexpected_failure")
        await asyncio.sleep(_LOOK_EVERY)


def _body(event: Mapping[str, Any]) -> bytes:
    """The payload of Standard Webhooks."""
    return to_json({"type": event["type"], "timestamp": event["created_at"], "data": event["data"]})


@asynccontextmanager
async def delivering(res: Resources) -> AsyncIterator[Deliverer]:
    """Yield one whose connections are closed at the end, and with them what is under way."""
    before = current_actor.set(Actor(name="webhooks"))
    try:
        async with open_client(res.settings) as client:
            deliverer = Deliverer(res, client)
            try:
                yield deliverer
            finally:
                await deliverer.abandon()
    finally:
        current_actor.reset(before)
