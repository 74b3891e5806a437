"""The seal of a confirmed file, and all else, as far as it was proved for its bucket."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.db import seals as db_seals
from app.models.files import File, Seal
from app.runtime.resources import Resources

# As text: a member of an enum costs the JSON writer as much as six other values.
_NO: Final = Seal.NO.value
# So long what was proved is not read again.
_KEPT: Final = timedelta(seconds=30)


async def seals_of(res: Resources, files: Sequence[File]) -> list[str]:
    """The seal of each file, in order: the one that it was confirmed with, if the doctor proved
    that it holds where the file is; `no` otherwise.
    """
    if all(file.sealed == _NO for file in files):
        return [_NO] * len(files)
    holding = await _holding(res)
    # Of many files most are alike.
    known: dict[tuple[str, str, str, str], str] = {}
    found = []
    for file in files:
        alike = file.destination, file.bucket, file.method, file.sealed
        seal = known.get(alike)
        if seal is None:
            store = res.settings.destination_of(file.destination, file.bucket).store
            # A version whose parts can be sent again, as on OpenStack Swift, is none that stays.
            needed = {file.sealed} | ({Seal.MULTIPART} if file.method == "multipart" else set())
            holds = all((store, file.bucket, one) in holding for one in needed)
            seal = known[alike] = file.sealed if holds else _NO
        found.append(seal)
    return found


async def proven_of(res: Resources, file: File) -> frozenset[str]:
    """All that holds where the file is."""
    store = res.settings.destination_of(file.destination, file.bucket).store
    return await proven_in(res, store, file.bucket)


async def proven_in(res: Resources, store: str, bucket: str) -> frozenset[str]:
    """All that was proved to hold in the bucket of this store."""
    found = await _holding(res)
    return frozenset(what for where, name, what in found if (where, name) == (store, bucket))


async def _holding(res: Resources) -> frozenset[tuple[str, str, str]]:
    """Store, bucket and name of all that was proved."""
    now = res.clock()
    holding = res.proven_seals.get(None, now)
    if holding is None:
        async with res.db.connection() as db:
            holding = await db_seals.holding(db)
        res.proven_seals.note(None, holding, now + _KEPT)
    return holding
