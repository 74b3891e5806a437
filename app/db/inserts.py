"""Announcements that wait at the same moment are stored together."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Final
from uuid import UUID

from app.db import files as db_files
from app.db.connections import Database
from app.db.pending_cap import too_many, who_has_too_many
from app.errors import DatabaseUnavailable, TooManyPending
from app.models.files import File
from app.models.idempotency import IdempotencyKey
from app.single_flight import SingleFlight

# A statement takes no more requests once it has as many rows: encoding them stops the event loop.
MAX_ROWS: Final = 100
# So many answers are given before the event loop turns to others: all of a large group would hold
# it up, and then send their next requests all at once.
ANSWERS_A_TURN: Final = 8

_OWNER: Final = attrgetter("tenant", "owner")

_Waiting = tuple[Sequence[File], Sequence[IdempotencyKey], asyncio.Future[set[UUID]]]


class Inserts:
    """Puts new files into the database: a round trip, and a flush to disk, for many at once.

    While one statement is under way, the files of other requests gather for the next; a request
    that is alone does not wait. Each statement commits by itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Waiting] = deque()
        self._storing = SingleFlight()

    async def insert(self, files: Sequence[File], kept: Sequence[IdempotencyKey] = ()) -> set[UUID]:
        """Store the files; the ids of all that were, those of other requests among them.

        With each that is stored its idempotency key, if it has one among `kept`. A file that is not
        there has a key that is taken. Raises TooManyPending or RequestUnderWay, and none of these
        files is stored; or DatabaseUnavailable, and the outcome is unknown.
        """
        answer: asyncio.Future[set[UUID]] = asyncio.get_running_loop().create_future()
        self._waiting.append((files, kept, answer))
        self._storing.share("groups", self._work)
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            await self._store_all(self._next_group())

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = 0
        while self._waiting and rows < MAX_ROWS:
            group.append(self._waiting.popleft())
            rows += len(group[-1][0])
        return group

    async def _store_all(self, group: list[_Waiting]) -> None:
        """Store the group so that one request's failure is not the others': an owner with too many
        pending uploads, a row that the database refuses, a deadlock with another replica's group.
        """
        try:
            await self._store(group)
        except Exception as error:
            # Unless the database is gone, nothing was stored.
            if len(group) == 1 or isinstance(error, DatabaseUnavailable):
                _fail(group, error)
                return
            if isinstance(error, TooManyPending):
                owner = who_has_too_many(error)
                others = [waiting for waiting in group if _owner(waiting) != owner]
                if others:
                    await self._store_all(others)
                await self._store_what_fits([w for w in group if _owner(w) == owner])
                return
            # By halves: the rest wait for few statements, however large the group is.
            middle = len(group) // 2
            await self._store_all(group[:middle])
            await self._store_all(group[middle:])

    async def _store_what_fits(self, group: list[_Waiting]) -> None:
        """Store one by one the requests of an owner who has no room for all: one that is no smaller
        than one that was refused would be refused as well.
        """
        # A single one is the one that was refused.
        room = len(group[0][0]) if len(group) == 1 else math.inf
        for waiting in group:
            files, _, _ = waiting
            try:
                if len(files) >= room:
                    raise too_many(files)
                await self._store([waiting])
            except TooManyPending as error:
                room = min(room, len(files))
                _fail([waiting], error)
            except Exception as error:
                _fail([waiting], error)

    async def _store(self, group: list[_Waiting]) -> None:
        # By owner, so that two replicas never wait for each other's counts of pending uploads.
        rows = sorted((file for files, _, _ in group for file in files), key=_OWNER)
        kept = [row for _, rows_of_keys, _ in group for row in rows_of_keys]
        async with self._database.connection() as db:
            stored = await db_files.insert_files(db, rows, kept)
        for number, (_, _, answer) in enumerate(group, start=1):
            if not answer.done():  # else its request was cancelled
                answer.set_result(stored)
            if number % ANSWERS_A_TURN == 0:
                await asyncio.sleep(0)


def _owner(waiting: _Waiting) -> tuple[str, str]:
    files, _, _ = waiting
    return files[0].tenant, files[0].owner


def _fail(group: list[_Waiting], error: Exception) -> None:
    for _, _, answer in group:
        if not answer.done():
            answer.set_exception(error)
