"""How long one request can hold up the others: the longest slice of the event loop."""

from __future__ import annotations

import dataclasses
import http.client
import json
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from bench import rows
from bench.load import CONNECTIONS
from bench.results import FIRST, LONGEST, SLICES, WORSE
from bench.sections.panel import signed_in
from bench.sections.reading import BATCHES, MANY, batches, many_pages
from bench.sections.records import FILL, RECORDS
from bench.sections.uploads import ANNOUNCEMENT, announcing, uploaded
from bench.sender import as_http, open_sender
from bench.servers import BenchError, Server
from bench.stack import Stack

# Looks at each kind of request in a round, besides the first.
_TIMES: Final = 20
# What a request does itself it does in each. The host of a virtual machine takes the processor for
# some ms now and then, and the machine counts them as its own.
_ROUNDS: Final = 2
_MOST: Final = 1 + _ROUNDS * _TIMES
# Names that take long to make keys of.
_NASTY: Final = ("\ufdfa" * 250 + ".png", "a" + "\u0301\u0316" * 124 + ".png")
# Beginnings of files whose type takes long to tell.
_HEAD: Final = 4096
_HOSTILE: Final = (
    *(b"\n" * _HEAD, b"<" * _HEAD, b"\x01" + b"\n" * (_HEAD - 1)),
    b"\xff\xfe" + b"<\0" * (_HEAD // 2 - 1),
)
_TEXT: Final = {"destination": "files", "filename": "Notes.txt", "content_type": "text/plain"}
_EVENTS: Final = "/v1/events?limit=500"
_PANEL: Final = ("files", "uploads", "events", "usage")


class Ask:
    """Requests of one kind, of which each asks for the next path and has the next body."""

    def __init__(self, method: str, paths: list[str], bodies: list[Any] | None = None) -> None:
        self.method = method
        self._paths, self._bodies = cycle(paths), cycle(bodies or [None])

    def next(self) -> tuple[str, str, Any]:
        return self.method, next(self._paths), next(self._bodies)


def measure(stack: Stack) -> None:
    """For each kind of request the processor time that its longest callback takes, as a multiple of
    what an announcement costs in all: the longest of some requests one after the other, and for
    some kinds of as many times 32 at once, in that round of two where it is shorter.
    """
    stack = dataclasses.replace(stack, environ=stack.environ | {"CLAIMCHECK_ADMIN": "true"})
    with stack.service() as server:
        loads = stack.measure("announce, for its cost", [announcing("claimcheck", server, stack)])
        uploads = uploaded(server, _MOST * (1 + CONNECTIONS))
        hostile = uploaded(server, _MOST, _TEXT, _HOSTILE)
    announcement = loads["claimcheck"].cpu / 1e6
    _fill(stack)
    cookie = signed_in(stack)
    found: list[float] = []

    def note(name: str, slices: list[float]) -> None:
        # What the first one loads or makes for all that follow is looked at in no other.
        first, *others = slices
        rounds = [max(others[:_TIMES]), max(others[_TIMES:])]
        longest = first if name == _DOCUMENT else min(rounds)
        for section, seconds in ((FIRST, first), (SLICES, longest), (WORSE, max(rounds))):
            stack.results.add(section, name, seconds / announcement, "times")
        found.append(longest / announcement)

    with stack.service("bench.probed:create_app", loop="asyncio") as server:
        loop = _Loop(server, cookie)
        loop.answered("GET", "/v1/events")  # they are written from the first reading on
        for name, ask in _asks(stack, uploads, hostile).items():
            stack.say(f"{SLICES}: {name}")
            note(name, loop.slices(ask))
            if name in _AT_ONCE:
                note(f"{name}, {CONNECTIONS} at once", loop.slices_at_once(ask))
    stack.results.add(SLICES, LONGEST, max(found), "times")
    stack.query(rows.empty)


_DOCUMENT: Final = "/openapi.json, the first time"
_LIST, _PRESIGN, _RECORDS = "list of 100 new links", "presign 1,000", f"{RECORDS} records"
_AT_ONCE: Final = ("announce", "confirm", _LIST, _PRESIGN, _RECORDS)


def _asks(stack: Stack, uploads: list[str], hostile: list[str]) -> dict[str, Ask]:
    post, get = partial(Ask, "POST"), partial(Ask, "GET")
    numbers = ",".join(str(number) for number in range(1, RECORDS + 1))
    urls, many = stack.query(_urls), batches(stack, BATCHES)

    def confirms(ids: list[str]) -> Ask:
        return post([f"/v1/uploads/{one}/confirm" for one in ids])

    return {
        _DOCUMENT: get(["/openapi.json"]),
        "announce": post(["/v1/uploads"], [ANNOUNCEMENT]),
        "confirm": confirms(uploads),
        "confirm, the most hostile contents": confirms(hostile),
        "redirect": get([f"/v1/files/{one}/content" for one in stack.query(_ids)]),
        "batch of 100": post(["/v1/uploads/batch"], [{"uploads": [ANNOUNCEMENT] * 100}]),
        "batch of 100, the nastiest names": post(
            ["/v1/uploads/batch"],
            [{"uploads": [ANNOUNCEMENT | {"filename": name}] * 100} for name in _NASTY],
        ),
        _LIST: get(many_pages(stack)),
        _PRESIGN: post(["/v1/files/presign"], many),
        "presign 1,000 by URL": post(["/v1/files/presign"], [{"urls": urls}]),
        "presign 1,000 with details": post(
            ["/v1/files/presign"], [each | {"details": True} for each in many]
        ),
        _RECORDS: get([f"/v1/records/product?ids={numbers}"]),
        "500 events": get([_EVENTS]),
        **{f"the panel's {page}": get([f"/admin/{page}"]) for page in _PANEL},
    }


class _Loop:
    """The event loop of a server, watched by `bench.probed`."""

    def __init__(self, server: Server, cookie: str) -> None:
        url = urlsplit(server.url)
        self._url = server.url
        self._cookie = cookie
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)

    def slices(self, ask: Ask) -> list[float]:
        """Seconds of processor time of the longest callback of each request, the first and those
        of all rounds.
        """
        return [self._longest(lambda: self.answered(*ask.next())) for _ in range(_MOST)]

    def slices_at_once(self, ask: Ask) -> list[float]:
        """As `slices`, of a request on each of 32 connections at once."""
        with open_sender() as send:
            return [
                self._longest(lambda: send(self._url, self._requests(ask))) for _ in range(_MOST)
            ]

    def answered(self, method: str, path: str, body: Any = None) -> bytes:
        """The answer. Raises BenchError if it is an error, or holds one."""
        written = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "Cookie": self._cookie}
        self._connection.request(method, path, written, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        refused = method == "POST" and b'"problem"' in text
        few = path == _EVENTS and text.count(b'"type"') < 500
        if refused or few or answer.status == 303 or answer.status >= 400:
            raise BenchError(f"{method} {path[:80]}: {answer.status} {text[:300]!r}")
        return text

    def _requests(self, ask: Ask) -> list[str]:
        return [as_http(self._url, *ask.next()) for _ in range(CONNECTIONS)]

    def _longest(self, run: Callable[[], object]) -> float:
        self.answered("GET", "/bench/slice")
        run()
        return float(self.answered("GET", "/bench/slice"))


def _fill(stack: Stack) -> None:
    endpoint = stack.settings.destinations["images"].stored_endpoint
    stack.query(partial(rows.fill, first=1, last=MANY * BATCHES, endpoint=endpoint))

    async def attach(db: asyncpg.Connection) -> None:
        await db.execute(FILL)
        await db.execute("VACUUM ANALYZE")

    stack.query(attach)


async def _ids(db: asyncpg.Connection) -> list[str]:
    return await rows.newest_ids(db, _MOST)


async def _urls(db: asyncpg.Connection) -> list[str]:
    found = await db.fetch("SELECT url FROM files WHERE state = 'confirmed' LIMIT $1", MANY)
    return [row[0] for row in found]
