"""How long one request can hold up the others: the longest slice of the event loop."""

from __future__ import annotations

import dataclasses
import http.client
import json
import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg

from bench import rows
from bench.results import LONGEST, SLICES
from bench.sections.panel import signed_in
from bench.sections.reading import BATCHES, MANY, batches, many_pages
from bench.sections.records import FILL, RECORDS
from bench.sections.uploads import ANNOUNCEMENT, announcing, uploaded
from bench.servers import BenchError, Server
from bench.stack import Stack

_TIMES: Final = 20
# Names that take long to make keys of.
_NASTY: Final = ("\ufdfa" * 250 + ".png", "a" + "\u0301\u0316" * 124 + ".png")


class Ask(NamedTuple):
    """Requests of one kind, one after the other."""

    method: str
    paths: list[str]
    bodies: list[Any]


def measure(stack: Stack) -> None:
    """For each kind of request the processor time that its longest callback takes, as a multiple of
    what an announcement costs in all; the median of some, since others use the processor too.
    """
    stack = dataclasses.replace(stack, environ=stack.environ | {"CLAIMCHECK_ADMIN": "true"})
    with stack.service() as server:
        loads = stack.measure("announce, for its cost", [announcing("claimcheck", server, stack)])
        ids = uploaded(server, _TIMES + 1)
    announcement = loads["claimcheck"].cpu / 1e6
    _fill(stack)
    cookie = signed_in(stack)
    worst = 0.0
    with stack.service("bench.probed:create_app", loop="asyncio") as server:
        for name, ask in _asks(stack, ids).items():
            stack.say(f"{SLICES}: {name}")
            # What the first one loads or makes for all that follow is looked at in no other.
            slices = list(_slices(server, ask, cookie))
            first = [slices[0]] if name == _DOCUMENT else slices[1:]
            times = statistics.median(first) / announcement
            worst = max(worst, times)
            stack.results.add(SLICES, name, times, "times")
    stack.results.add(SLICES, LONGEST, worst, "times")
    stack.query(rows.empty)


_DOCUMENT: Final = "/openapi.json, the first time"


def _asks(stack: Stack, uploads: list[str]) -> dict[str, Ask]:
    post, get = partial(Ask, "POST"), partial(Ask, "GET", bodies=[])
    numbers = ",".join(str(number) for number in range(1, RECORDS + 1))
    urls = stack.query(_urls)
    return {
        _DOCUMENT: get(["/openapi.json"]),
        "announce": post(["/v1/uploads"], [ANNOUNCEMENT]),
        "confirm": post([f"/v1/uploads/{one}/confirm" for one in uploads], []),
        "redirect": get([f"/v1/files/{one}/content" for one in stack.query(_ids)]),
        "batch of 100": post(["/v1/uploads/batch"], [{"uploads": [ANNOUNCEMENT] * 100}]),
        "batch of 100, the nastiest names": post(
            ["/v1/uploads/batch"],
            [{"uploads": [ANNOUNCEMENT | {"filename": name}] * 100} for name in _NASTY],
        ),
        "list of 100 new links": get(many_pages(stack)),
        "presign 1,000": post(["/v1/files/presign"], batches(stack, BATCHES)),
        "presign 1,000 with details": post(
            ["/v1/files/presign"], [one | {"details": True} for one in batches(stack, BATCHES)]
        ),
        "presign 1,000 by URL": post(["/v1/files/presign"], [{"urls": urls}]),
        "200 records": get([f"/v1/records/product?ids={numbers}"]),
        "the panel's files": get(["/admin/files"]),
    }


def _slices(server: Server, ask: Ask, cookie: str) -> Iterator[float]:
    """Seconds of processor time of the longest callback of each request."""
    url = urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)

    def answered(method: str, path: str, body: Any = None) -> bytes:
        written = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        connection.request(method, path, written, headers)
        answer = connection.getresponse()
        text = answer.read()
        refused = method == "POST" and b'"problem"' in text
        if refused or answer.status == 303 or answer.status >= 400:
            raise BenchError(f"{method} {path[:80]}: {answer.status} {text[:300]!r}")
        return text

    for turn in range(_TIMES + 1):
        answered("GET", "/bench/slice")
        body = ask.bodies[turn % len(ask.bodies)] if ask.bodies else None
        answered(ask.method, ask.paths[turn % len(ask.paths)], body)
        yield float(answered("GET", "/bench/slice"))
    connection.close()


def _fill(stack: Stack) -> None:
    endpoint = stack.settings.destinations["images"].stored_endpoint
    stack.query(partial(rows.fill, first=1, last=MANY * BATCHES, endpoint=endpoint))

    async def attach(db: asyncpg.Connection) -> None:
        await db.execute(FILL)
        await db.execute("VACUUM ANALYZE")

    stack.query(attach)


async def _ids(db: asyncpg.Connection) -> list[str]:
    return await rows.newest_ids(db, _TIMES)


async def _urls(db: asyncpg.Connection) -> list[str]:
    found = await db.fetch("SELECT url FROM files WHERE state = 'confirmed' LIMIT $1", MANY)
    return [row[0] for row in found]
