"""The SQL of the MD5s that were announced of parts."""

from collections.abc import Sequence

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.statements import FIRST, array, write
from app.models.files import File
from app.models.part_digests import part_digests

_c = part_digests.c
_FILE = sa.bindparam("file_id", type_=sa.Uuid())
_GIVEN = sa.select(
    array("numbers", sa.Integer()).label("part_number"),
    array("digests", sa.LargeBinary()).label("md5"),
).cte("given")
_NOTE = write(
    insert(part_digests)
    .from_select(
        ["file_id", "part_number", "md5"], sa.select(_FILE, _GIVEN.c.part_number, _GIVEN.c.md5)
    )
    .on_conflict_do_nothing()
)
_OTHERS = write(
    sa.select(_c.part_number)
    .join(_GIVEN, _GIVEN.c.part_number == _c.part_number)
    .where(_c.file_id == _FILE, _c.md5 != _GIVEN.c.md5)
    .distinct()
    .order_by(_c.part_number),
    FIRST,
)
_OF_FILE = write(sa.select(_c.part_number, _c.md5).where(_c.file_id == _FILE))
_FORGET = write(sa.delete(part_digests).where(_c.file_id == _FILE))


async def note(
    db: asyncpg.Connection, file: File, digests: Sequence[tuple[int, bytes]]
) -> list[int]:
    """Note the MD5s of parts by number; the numbers of those that have another one already.

    Between the two statements nothing that is there can change, for no row ever does.
    """
    numbers, values = zip(*digests, strict=True)
    given = {"file_id": file.id, "numbers": numbers, "digests": values}
    await _NOTE.run(db, **given)
    return await _OTHERS.rows(db, **given)


async def digests_of(db: asyncpg.Connection, file: File) -> dict[int, bytes]:
    """The MD5s that were announced of the upload's parts, by number."""
    return dict(await _OF_FILE.rows(db, file_id=file.id))


async def forget(db: asyncpg.Connection, file: File) -> None:
    """Drop them: nothing is compared with them any more."""
    await _FORGET.run(db, file_id=file.id)
