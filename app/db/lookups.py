"""Files that are looked up at the same moment are looked up together."""

import asyncio
from typing import Any, Final
from uuid import UUID

from app.core.principal import Principal
from app.db import files as db_files
from app.db.connections import Database
from app.db.statements import visible_to
from app.models.files import Readable
from app.single_flight import SingleFlight

# A statement takes no more: the event loop has all its answers to give before it turns to others.
MAX_IDS: Final = 16

_Group = list[tuple[UUID, asyncio.Future[Readable | None]]]


class Lookups:
    """Reads confirmed files by id: one round trip for all who ask in one turn of the event loop, or
    while they wait for a connection, if another is under way. Whoever is alone waits for nobody.

    Each caller's are read by themselves, so that the database decides what they may see.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way = 0
        # Those whose statements have still to begin, by who asks.
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._reading = SingleFlight()

    async def readable(self, file_id: UUID, caller: Principal | None) -> Readable | None:
        """The file, if it is confirmed and the caller's to see; without a caller, anybody's.

        Raises DatabaseUnavailable.
        """
        answer: asyncio.Future[Readable | None] = asyncio.get_running_loop().create_future()
        asked = file_id, answer
        if not self._under_way:
            await self._read([asked], caller)
            return await answer
        who = _who(caller)
        group = self._groups.get(who)
        if group is None or len(group) == MAX_IDS:
            group = self._groups[who] = []
            self._reading.start(self._read(group, caller))
        group.append(asked)
        return await answer

    async def _read(self, group: _Group, caller: Principal | None) -> None:
        self._under_way += 1
        try:
            async with self._database.connection() as db:
                self._close(group, caller)
                ids = [file_id for file_id, _ in group]
                found = {file.id: file for file in await db_files.readable_by_id(db, ids, caller)}
        except Exception as error:
            self._close(group, caller)
            for _, answer in group:
                if not answer.done():  # else its request was cancelled
                    answer.set_exception(error)
        else:
            for file_id, answer in group:
                if not answer.done():
                    answer.set_result(found.get(file_id))
        finally:
            self._under_way -= 1

    def _close(self, group: _Group, caller: Principal | None) -> None:
        """Whoever asks from now on is in another group."""
        who = _who(caller)
        if self._groups.get(who) is group:
            del self._groups[who]


def _who(caller: Principal | None) -> tuple[Any, ...]:
    return () if caller is None else tuple(visible_to(caller).values())
