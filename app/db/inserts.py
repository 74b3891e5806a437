"""Announcements that wait at the same moment are stored together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Final
from uuid import UUID

from app.db import files as db_files
from app.db.connections import Database, was_deadlock
from app.errors import DatabaseUnavailable
from app.models.files import File
from app.models.idempotency import IdempotencyKey
from app.settings.quotas import QuotaSettings
from app.single_flight import SingleFlight

# A statement takes no more requests once it has as many rows: encoding them stops the event loop.
MAX_ROWS: Final = 100
# So many answers are given before the event loop turns to others: all of a large group would hold
# it up, and then send their next requests all at once.
ANSWERS_A_TURN: Final = 8

_OWNER: Final = attrgetter("tenant", "owner")

_Store = Callable[[list["_Waiting"]], Awaitable[None]]
_Waiting = tuple[Sequence[File], Sequence[IdempotencyKey], asyncio.Future[set[UUID]]]


class Inserts:
    """Puts new files into the database: a round trip, and a flush to disk, for many at once.

    While one statement is under way, the files of other requests gather for the next; a request
    that is alone does not wait. Each statement commits by itself.
    """

    def __init__(self, database: Database, quota: QuotaSettings) -> None:
        self._database, self._quota = database, quota
        if quota:
            # Loaded late, by who keeps limits, but before the first request.
            import app.db.reserve  # noqa: F401
        self._waiting: deque[_Waiting] = deque()
        self._storing = SingleFlight()

    async def insert(self, files: Sequence[File], kept: Sequence[IdempotencyKey] = ()) -> set[UUID]:
        """Store the files; the ids of all that were, those of other requests among them.

        With each that is stored its idempotency key, if it has one among `kept`. A file that is not
        there has a key that is taken. Raises QuotaExceeded or RequestUnderWay, and none of these
        files is stored; or DatabaseUnavailable, and the outcome is unknown.
        """
        answer: asyncio.Future[set[UUID]] = asyncio.get_running_loop().create_future()
        self._waiting.append((files, kept, answer))
        self._storing.share("groups", self._work)
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            await self._store_all(self._next_group(), self._store)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = 0
        while self._waiting and rows < MAX_ROWS:
            group.append(self._waiting.popleft())
            rows += len(group[-1][0])
        return group

    async def _store_all(self, group: list[_Waiting], store: _Store) -> None:
        """Store the group so that one request's failure is not the others': a row that the database
        refuses, a deadlock with another replica's group.
        """
        try:
            await store(group)
        except Exception as error:
            # Unless the database is gone, nothing was stored.
            is_gone = isinstance(error, DatabaseUnavailable) and not was_deadlock(error)
            if len(group) == 1 or is_gone:
                _fail(group, error)
                return
            # By halves: the rest wait for few statements, however large the group is.
            middle = len(group) // 2
            await self._store_all(group[:middle], store)
            await self._store_all(group[middle:], store)

    async def _store(self, group: list[_Waiting]) -> None:
        async with self._database.connection() as db:
            if not self._quota:
                stored = await db_files.insert_files(db, *_rows(group))
                full: set[tuple[str, str]] = set()
            else:
                from app.db.reserve import reserve_files

                stored, full = await reserve_files(db, *_rows(group), self._quota)
        # Now, for behind a pooler of transactions it is committed by the end of the connection.
        if not full:
            await _answer(group, stored)
            return
        refused: list[_Waiting] = []
        others: list[_Waiting] = []
        for waiting in group:
            file = waiting[0][0]
            is_full = not full.isdisjoint([(file.tenant, file.owner), (file.tenant, "")])
            (refused if is_full else others).append(waiting)
        await _answer(others, stored)
        if refused:
            await self._store_all(refused, self._store_what_fits)

    async def _store_what_fits(self, group: list[_Waiting]) -> None:
        """Store those for whom there is room, in their order, all else being folded in; the others
        are told what is used.
        """
        from app.db.reserve import find_room, reserve_files

        async with self._database.transaction() as db:
            problems = await find_room(db, [files for files, _, _ in group], self._quota)
            fitting = [w for w, problem in zip(group, problems, strict=True) if problem is None]
            stored: set[UUID] = set()
            if fitting:
                stored = (await reserve_files(db, *_rows(fitting), self._quota)).stored
        for waiting, problem in zip(group, problems, strict=True):
            if problem is not None:
                _fail([waiting], problem)
        await _answer(fitting, stored)


def _rows(group: list[_Waiting]) -> tuple[list[File], list[IdempotencyKey]]:
    # By owner, so that two replicas never wait for each other's idempotency keys.
    rows = sorted((file for files, _, _ in group for file in files), key=_OWNER)
    return rows, [row for _, kept, _ in group for row in kept]


async def _answer(group: list[_Waiting], stored: set[UUID]) -> None:
    for number, (_, _, answer) in enumerate(group, start=1):
        if not answer.done():  # else its request was cancelled
            answer.set_result(stored)
        if number % ANSWERS_A_TURN == 0:
            await asyncio.sleep(0)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for _, _, answer in group:
        if not answer.done():
            answer.set_exception(error)
