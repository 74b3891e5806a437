"""Announce one, announce fifty, confirm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

import asyncpg
import httpx

from bench.load import CONNECTIONS, Case
from bench.servers import BenchError, Server
from bench.stack import Stack

BATCH: Final = 50
ANNOUNCEMENT: Final = {
    "destination": "images",
    "filename": "Holiday in Provence 2026.png",
    "content_type": "image/png",
    "size": 482_133,
}
_PARAMS: Final = "/s3/params?filename=Holiday%20in%20Provence%202026.png&type=image%2Fpng"
_DATA: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"


def announcing(name: str, server: Server) -> Case:
    return Case(name, server, ["/v1/uploads"], "POST", ANNOUNCEMENT)


def announce(stack: Stack) -> None:
    """One announcement a request, its row committed; the peers store nothing."""
    results = stack.results
    with ExitStack() as servers:
        ours = servers.enter_context(stack.service())
        echo = servers.enter_context(stack.echo())
        cases = [announcing("claimcheck", ours), announcing("FastAPI echo", echo)]
        companion = stack.optional(servers, "Companion", stack.companion)
        if companion:
            cases.append(Case("Companion /s3/params", companion, [_PARAMS]))
        django = stack.optional(servers, "Django REST", stack.django)
        if django:
            body = {"object_key": "images/11-22-2026_19-07-09-123456--holiday.png"}
            # Its one worker serves one client at a time; others would only wait, also for the next
            # run, in which it would still be answering them.
            cases.append(Case("Django REST", django, ["/upload-url"], "POST", body, 1))
        stack.measure("announce", cases)
        results.compare("announce", "claimcheck", *(case.name for case in cases[1:]))

        batch = {"uploads": [ANNOUNCEMENT] * BATCH}
        section = f"announce by batch of {BATCH}"
        path = "/v1/uploads/batch"
        stack.measure(
            section,
            [
                Case("claimcheck", ours, [path], "POST", batch),
                Case("FastAPI echo", echo, [path], "POST", batch),
            ],
        )
        results.compare(section, "claimcheck", "FastAPI echo")


def confirm(stack: Stack) -> None:
    """Confirm pending uploads whose objects are there: HEAD, a ranged GET, one UPDATE.

    Each upload is confirmed once a run and made pending again before the next one.
    """
    with stack.service() as ours, stack.echo() as echo:
        stack.say(f"confirm: sending {stack.plan.uploads:,} objects to {stack.store}")
        ids = _uploaded(stack, ours)
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

        def check() -> None:
            if stack.query(count) > len(ids) - CONNECTIONS:
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
            ],
        )
        stack.results.compare(section, "claimcheck", "FastAPI echo")


def _uploaded(stack: Stack, service: Server) -> list[str]:
    """Ids of as many uploads as the plan wants, their objects sent to the bucket."""
    small = [ANNOUNCEMENT | {"size": len(_DATA)}] * BATCH
    announced: list[dict[str, Any]] = []
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        while len(announced) < stack.plan.uploads:
            answer = client.post(f"{service.url}/v1/uploads/batch", json={"uploads": small})
            announced += answer.raise_for_status().json()["uploads"]

        def send(upload: dict[str, Any]) -> None:
            form = upload["upload"]
            file = {"file": ("file", _DATA)}
            client.post(form["url"], data=form["fields"], files=file).raise_for_status()

        list(pool.map(send, announced))
    return [upload["id"] for upload in announced]
