"""Find confirmed files by metadata and by parts of their names, and keep what finds them."""

from uuid import UUID

from app.core.narrowing import Narrowing
from app.core.principal import Principal
from app.core.search_text import Wanted, metadata_line, property_line, wanted
from app.db import blocks as db_blocks
from app.db import files as db_files
from app.db.lists import GREATEST, LEAST
from app.models.files import File
from app.runtime.resources import Resources


def _wanted(owner: str | None, narrowing: Narrowing, *, owners: bool) -> Wanted:
    exact = {"owner": owner, "destination": narrowing.destination, **narrowing.kind}
    lines = [property_line(kind, value) for kind, value in exact.items() if value is not None]
    # What is rarest is most likely among these.
    by_metadata = [metadata_line(name, value) for name, value in narrowing.metadata]
    return wanted(narrowing.q, [*by_metadata, *lines], owners=owners)


async def find_files(
    res: Resources,
    caller: Principal,
    narrowing: Narrowing,
    *,
    limit: int,
    owner: str | None = None,
    owners: bool = False,
) -> tuple[list[File], UUID | None]:
    """Files, newest first, and the id before which the next page begins, None after the last.

    A page looks at a bounded number of files: it may have fewer than `limit`, even none, and still
    an id to go on from. `owner`: of that owner alone, for those who see others' files. `owners`:
    the words of `q` are looked for in owners, too.
    """
    sought = _wanted(caller.seen_owner or owner, narrowing, owners=owners)
    async with res.db.connection() as db:
        found = await db_blocks.find(
            db,
            caller.tenant,
            sought,
            first=narrowing.first or LEAST,
            end=narrowing.end or GREATEST,
            limit=limit + 1,
        )
        rows = await db_files.confirmed_by_id(db, found.ids[:limit], caller)
    if found.changes >= db_blocks.BLOCK:
        name = "take changes", caller.tenant
        res.background.share(name, lambda: take_changes(res, caller.tenant))
    # They may have changed since their blocks were written.
    files = sorted(
        (
            file
            for file in rows
            if sought.is_in(db_blocks.text_of_file(file, file.filename))
            and not (narrowing.loose and file.attachments)
        ),
        key=lambda file: file.id,
        reverse=True,
    )
    return files, found.ids[limit - 1] if len(found.ids) > limit else found.down_to


async def take_changes(res: Resources, tenant: str) -> int:
    """Write a tenant's changed files into the blocks that find them; how many there were."""
    total = 0
    while True:
        async with res.db.transaction() as db:
            taken = await db_blocks.take_changes(db, tenant)
        if not taken:
            return total
        total += taken


async def take_all_changes(res: Resources) -> None:
    """Write every tenant's changed files into blocks."""
    async with res.db.connection() as db:
        tenants = await db_blocks.tenants_with_changes(db)
    for tenant in tenants:
        await take_changes(res, tenant)
