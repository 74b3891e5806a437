"""The session by which objects are looked at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from app.store.web import Web


class Piece(bytes):
    """Is copied once, by `join`."""

    def __radd__(self, _: bytes) -> bytes:
        raise AssertionError("all that was read before is copied for each piece")


class Session:
    """Answers with a body in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces]

    @asynccontextmanager
    async def request(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(status=200, reason="OK", headers={}, content=self)

    async def read(self, length: int) -> bytes:
        return Piece(self.pieces.pop(0)[:length]) if self.pieces else b""


async def test_a_long_body_is_copied_once() -> None:
    session: Any = Session(b"a" * 5, b"b" * 5, b"c" * 5)
    answer = await Web(session).ask("GET", "http://127.0.0.1/", {}, 12)
    assert answer.start == b"aaaaabbbbbcc"
    session = Session(b"a" * 5)
    assert (await Web(session).ask("GET", "http://127.0.0.1/", {}, 12)).start == b"aaaaa"
