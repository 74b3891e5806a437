"""Announce one, announce fifty, confirm."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import cycle
from typing import Any, Final

import asyncpg
import httpx

from bench import rows
from bench.load import CONNECTIONS, Case, ask
from bench.servers import BenchError, Server
from bench.stack import Stack
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy

BATCH: Final = 50
CONFIRM: Final = "a confirm"
ANNOUNCE: Final = "claimcheck, announce"
ANNOUNCEMENT: Final = {
    "destination": "images",
    "filename": "Holiday in Provence 2026.png",
    "content_type": "image/png",
    "size": 482_133,
}
PARAMS: Final = "/s3/params?filename=Holiday%20in%20Provence%202026.png&type=image%2Fpng"
_DATA: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"


def announcing(name: str, server: Server, stack: Stack | None = None, batch: int = 1) -> Case:
    """Announcements, alone or by batch; with a `stack`, each is to be a row afterwards."""
    if batch == 1:
        case = Case(name, server, ["/v1/uploads"], "POST", [ANNOUNCEMENT])
    else:
        body = {"uploads": [ANNOUNCEMENT] * batch}
        case = Case(name, server, ["/v1/uploads/batch"], "POST", [body])
    return case if stack is None else storing(stack, case, batch)


def storing(stack: Stack, case: Case, rows_each: int) -> Case:
    """The case, believed only if the table grew by so many rows for each request."""
    before = 0

    def look() -> None:
        nonlocal before
        before = stack.query(rows.count)

    def check(requests: int) -> None:
        grown = stack.query(rows.count) - before
        # Those that wrk did not wait for, at the end of this run and of the one before.
        most = (requests + 2 * case.connections) * rows_each
        if not requests * rows_each <= grown <= most:
            raise BenchError(
                f"{case.name}: {requests:,} requests were answered and the table grew by {grown:,} "
                f"rows, not by {rows_each} for each."
            )

    return dataclasses.replace(case, before=look, check=check)


def without_problem(case: Case) -> Case:
    """The case, believed only if one more answer holds no `problem`."""

    def check(_: int) -> None:
        status, text = ask(case)
        if status >= 400 or '"problem"' in text:
            raise BenchError(f"{case.name}: answered {status} {text[:1000]}")

    return dataclasses.replace(case, check=check)


def announce(stack: Stack) -> None:
    """One announcement a request, its row committed; the peers store nothing."""
    results = stack.results
    with ExitStack() as servers:
        ours = servers.enter_context(stack.service())
        echo = servers.enter_context(stack.echo())
        cases = [announcing("claimcheck", ours, stack), announcing("FastAPI echo", echo)]
        companion = stack.optional(servers, "Companion", stack.companion)
        if companion:
            cases.append(Case("Companion /s3/params", companion, [PARAMS]))
        django = stack.optional(servers, "Django REST", stack.django)
        if django:
            body = {"object_key": "images/11-22-2026_19-07-09-123456--holiday.png"}
            # Its one worker serves one client at a time; others would only wait, also for the next
            # run, in which it would still be answering them.
            cases.append(Case("Django REST", django, ["/upload-url"], "POST", [body], 1))
        stack.measure("announce", cases)
        results.compare("announce", "claimcheck", *(case.name for case in cases[1:]))

        section = f"announce by batch of {BATCH}"
        stack.measure(
            section,
            [
                announcing("claimcheck", ours, stack, BATCH),
                announcing("FastAPI echo", echo, batch=BATCH),
            ],
        )
        results.compare(section, "claimcheck", "FastAPI echo")


def confirm(stack: Stack) -> None:
    """Confirm pending uploads whose objects are there: a ranged GET and one UPDATE.

    Each upload is confirmed once a run and made pending again before the next one. Announcements
    take turns with them, for what a confirm costs beside one; and the requests are counted that
    reach the store.
    """
    with stack.service() as ours, stack.echo() as echo:
        stack.say(f"confirm: sending {stack.plan.uploads:,} objects to {stack.store}")
        ids = uploaded(ours, stack.plan.uploads)
        paths = [f"/v1/uploads/{upload_id}/confirm" for upload_id in ids]

        async def reset(db: asyncpg.Connection) -> None:
            await db.execute(
                "UPDATE files SET state = 'pending', confirmed_at = NULL WHERE id = ANY($1)", ids
            )

        async def count(db: asyncpg.Connection) -> int:
            found: int = await db.fetchval(
                "SELECT count(*) FROM files WHERE state = 'confirmed' AND id = ANY($1)", ids
            )
            return found

        def check(requests: int) -> None:
            confirmed = stack.query(count)
            if confirmed < requests:
                raise BenchError(
                    f"confirm: {requests:,} answers, and {confirmed:,} confirmed files."
                )
            if confirmed > len(ids) - CONNECTIONS:
                raise BenchError("confirm ran out of pending uploads: raise `uploads` in the plan.")

        section = f"confirm ({stack.store})"
        stack.measure(
            section,
            [
                Case(
                    "claimcheck",
                    ours,
                    paths,
                    "POST",
                    before=lambda: stack.query(reset),
                    check=check,
                ),
                Case("FastAPI echo", echo, paths, "POST"),
                announcing(ANNOUNCE, ours, stack),
            ],
        )
        results = stack.results
        results.compare(section, "claimcheck", "FastAPI echo", ANNOUNCE)
        one, other = (results.figures[section, name].load for name in ("claimcheck", ANNOUNCE))
        if one and other:
            results.add(CONFIRM, "processor time, times an announce's", one.cpu / other.cpu, "")
        stack.query(reset)
        results.add(CONFIRM, "requests to the store", _round_trips(stack, paths[:BATCH]), "")


def _round_trips(stack: Stack, paths: list[str]) -> float:
    """How many requests reach the store for each of these confirms."""
    with counting_proxy(stack.environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        environ = stack.environ | {"AWS_S3_ENDPOINT_URL": proxy.address}
        with dataclasses.replace(stack, environ=environ).service() as service:
            for path in paths:
                httpx.post(f"{service.url}{path}", trust_env=False).raise_for_status()
            return len(proxy.seen) / len(paths)


@contextmanager
def counting_proxy(store: str) -> Iterator[FaultyProxy]:
    """A proxy in front of the store, on an event loop of its own."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, FaultyProxy]] = Future()

    async def run() -> None:
        async with faulty_proxy(store) as proxy:
            ended = asyncio.Event()
            started.set_result((asyncio.get_running_loop(), ended, proxy))
            await ended.wait()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, run())
        loop, ended, proxy = started.result(timeout=30)
        try:
            yield proxy
        finally:
            loop.call_soon_threadsafe(ended.set)
            running.result(timeout=30)


def uploaded(
    service: Server,
    count: int,
    announcement: Mapping[str, Any] = ANNOUNCEMENT,
    contents: Sequence[bytes] = (_DATA,),
) -> list[str]:
    """Ids of so many uploads, or some more, their objects sent to the bucket: one of the contents
    in turn, which are of one length.
    """
    small = [{**announcement, "size": len(contents[0])}] * BATCH
    announced: list[dict[str, Any]] = []
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        while len(announced) < count:
            answer = client.post(f"{service.url}/v1/uploads/batch", json={"uploads": small})
            announced += answer.raise_for_status().json()["uploads"]

        def send(upload: dict[str, Any], data: bytes) -> None:
            form = upload["upload"]
            file = {"file": ("file", data)}
            client.post(form["url"], data=form["fields"], files=file).raise_for_status()

        list(pool.map(send, announced, cycle(contents)))
    return [upload["id"] for upload in announced]
