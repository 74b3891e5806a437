"""The hand of a client: what it has of a file, how it asks, and what it sends."""

import asyncio
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from app.scans.proof import MARK
from tests.simulation.model import Intent
from tests.simulation.plan import Life, Step
from tests.simulation.store.body import Body

if TYPE_CHECKING:
    from tests.simulation.world import World

# Beginnings of files of each kind, and what they are.
HEADS: Final = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0\x1f\xf3\xffa",
    "huge": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0\x1f\xf3\xffa",
    "gif": b"GIF89a\x10\0\x10\0\xf0\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x10\0\x10\0\0\x02\0;",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "html": b"<!DOCTYPE html><html><body><script>alert(1)</script>",
    "text": b"name,number\n",
    "noise": b"\x01\x02\x03\x04\x05\x06\x07",
    "virus": MARK,
    "zip": b"PK\3\4\x14\0\0\0\0\0",
    "bomb": b"PK\3\4\x14\0\0\0\0\0",
}
# Directories of archives say how many files there are.
_ENTRIES: Final = {"zip": 2, "bomb": 9}
# Contents that their destinations do not take.
_REFUSED: Final = frozenset({"html", "huge", "bomb"})
_FILL: Final = {"text": b"some,words\n", "virus": b"\nsome words", "html": b"<p>words</p>"}
# Problems that a client waits out, besides those of status 5xx.
PASSING: Final = {"upload-not-arrived", "removal-under-way", "request-under-way"}


class Unanswered(Exception):
    """The request had no answer: refused, lost on the way, or given up waiting for."""


@dataclass
class Hand:
    """All that a client has of the one file that its life is about."""

    world: "World"
    life: Life
    body: Body
    announcement: dict[str, Any] = field(default_factory=dict)
    door: str = "uploader"
    token: str | None = None  # of its upload session
    session: str | None = None
    sessions: str = "/v1/upload-sessions"  # or requests for files, where `session` is one
    id: str | None = None
    made: str | None = None  # by its idempotency key
    key: str | None = None
    url: str | None = None
    upload: dict[str, Any] | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # (file, link)

    @property
    def who(self) -> str:
        return self.life.owner

    async def ask(
        self, what: str, step: Step, method: str, path: str, json: Any = None, **more: Any
    ) -> Any:
        """One request, as whoever this is. Raises Unanswered."""
        token = self.token or self.world.keys[self.who]
        return await self.world.ask(
            self.who, what, method, path, json, token=token, web=step.how["web"], hand=self, **more
        )

    async def insist(self, what: str, step: Step, *request: Any, **more: Any) -> Any:
        """The request again and again, while it has no answer or one that will pass; its last
        answer, None where it never had one.
        """
        reply, wait = None, 1.0
        for _ in range(step.how["tries"]):
            try:
                reply = await self.ask(what, step, *request, **more)
            except Unanswered:
                reply = None
            if reply is not None and reply.status < 500 and problem_of(reply) not in PASSING:
                break
            await asyncio.sleep(wait)
            wait = min(2 * wait, 15.0)
        return reply

    def take(self, announced: dict[str, Any]) -> None:
        """Take in the answer to an announcement."""
        self.id, self.key, self.url = announced["id"], announced["key"], announced["url"]
        self.upload = announced.get("upload")
        self.parts = (self.upload or {}).get("parts", [])
        self.intend()

    def intend(self) -> None:
        assert self.id is not None
        honest = self.announcement["contents"] not in _REFUSED
        if not self.world.keeps_rules(self.life.destination):
            return
        digest = str(self.body.digest)
        self.world.model.intents[self.id] = Intent(digest, self.body.length, honest)


def problem_of(reply: Any) -> str | None:
    """The slug of the problem in an answer."""
    # What a client of Uppy 6 is told late, behind status 200, is no JSON.
    if reply.status < 400 or not isinstance(reply.json, dict):
        return None
    return str(reply.json.get("type", "")).rpartition(":")[2] or None


def body_of(life: Life, contents: str, size: int) -> Body:
    """Bytes of a kind, other ones in each life."""
    head = HEADS[contents]
    number = life.number % 2 if life.destination == "papers" else life.number
    tail = _directory(_ENTRIES[contents], size) if contents in _ENTRIES else b""
    size -= len(tail)
    if size > 100_000:
        return Body.large(size, str(number), head) + Body.real(tail)
    fill = _FILL.get(contents, b"\x02%d\x03" % number) + b"%d\n" % number
    return Body.real((head + fill * size)[:size] + tail)


def _directory(count: int, size: int) -> bytes:
    """The end of a zip of `size` bytes with so many files (APPNOTE.TXT 6.3.10, 4.3.12 and 16)."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[20] * 2, *[0] * 7, 1, *[0] * 6) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, 0, 0, 0)
    length = count * len(entry)
    places = struct.pack("<2L", length, size - length - len(end))
    return entry * count + end[:12] + places + end[20:]
