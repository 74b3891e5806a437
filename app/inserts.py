"""Announcements that wait at the same moment are stored together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app import queries
from app.db import Database
from app.errors import Problem
from app.models import File

# A statement takes no more requests once it has as many rows: encoding them stops the event loop.
ENOUGH_ROWS: Final = 100
# Answers that are given before the event loop has a look at others: all of a large group would
# hold it up, and then send their next requests all at once.
AT_ONCE: Final = 8

_Waiting = tuple[Sequence[File], asyncio.Future[set[UUID]]]


class Inserts:
    """Puts new files into the database: a round trip, and a flush to disk, for many at once.

    While one statement is under way, the files of other requests gather for the next; a request
    that is alone does not wait. Each statement commits by itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    async def insert(self, files: Sequence[File]) -> set[UUID]:
        """Store the files; the ids of all that were, those of other requests among them.

        A file that is not there has a key that is taken. Raises DatabaseUnavailable; the outcome
        is then unknown.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[set[UUID]] = loop.create_future()
        self._waiting.append((files, answer))
        if self._running is None:
            self._running = loop.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await self._store(group)
                except Problem as problem:
                    _fail(group, problem)
                except Exception:
                    # Nothing was stored. The one whose row the database does not take, or who met
                    # another replica's group the wrong way round, must not take the others along.
                    for one in group:
                        await self._store_alone(one)
        finally:
            self._running = None

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = 0
        while self._waiting and rows < ENOUGH_ROWS:
            group.append(self._waiting.popleft())
            rows += len(group[-1][0])
        return group

    async def _store(self, group: list[_Waiting]) -> None:
        async with self._database.connection() as db:
            stored = await queries.insert_files(db, [file for files, _ in group for file in files])
        for number, (_, answer) in enumerate(group, start=1):
            if not answer.done():  # else its request was cancelled
                answer.set_result(stored)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _store_alone(self, one: _Waiting) -> None:
        try:
            await self._store([one])
        except Exception as error:
            _fail([one], error)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
