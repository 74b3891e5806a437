"""Announces and moves files at random: `python -m tests.usage.steps URL SEED STEPS`."""

import asyncio
import random
import sys

import asyncpg

from app.db import files as db_files
from app.db import moves
from app.db.reserve import reserve_files
from app.models.files import File, State
from app.settings.quotas import Limits, QuotaSettings
from tests.support.rows import LATER, NOW, new_file


async def _moved(db: asyncpg.Connection, file: File, chance: random.Random) -> File:
    """The file after one of the moves that its state allows; the file itself if there is none."""
    size = chance.randrange(40) if file.size is None else file.size
    moved: File | None = file
    match State(file.state), chance.randrange(3):
        case State.PENDING, 0:
            moved = await moves.mark_confirmed(db, file._replace(confirmed_at=NOW, size=size))
        case State.PENDING, 1:
            moved = await moves.mark_rejected(db, file, "why", NOW)
        case State.CONFIRMED, 0:
            moved = await moves.mark_released(db, file, NOW)
        case State.RELEASED, _:
            moved = await moves.mark_restored(db, file)
        case State.CONFIRMED, _:
            moved = await moves.claim_file_removal(db, file, NOW, LATER)
        case ((State.PENDING | State.REJECTED), _):
            moved = await moves.claim_upload_removal(db, file, NOW, LATER)
        case State.REMOVING, _:
            moved = await moves.finish_removal(db, file, NOW, LATER)
    assert moved is not None
    return moved


async def live(url: str, seed: int, steps: int) -> None:
    """Announce and move files at random, as processes with limits and without do."""
    chance = random.Random(seed)
    db = await asyncpg.connect(url)
    mine: list[File] = []
    quota = QuotaSettings(owner=Limits(bytes=600), tenant=Limits(pending=40))
    for _ in range(steps):
        if not mine or chance.random() < 0.4:
            size = chance.choice([{"size": None, "reserved": 50}, {"size": chance.randrange(40)}])
            owner = f"owner {chance.randrange(3)}"
            rows = [new_file(owner=owner, **size) for _ in range(chance.randrange(1, 4))]
            if chance.random() < 0.2:
                stored = await db_files.insert_files(db, rows)
            else:
                stored = (await reserve_files(db, rows, [], quota)).stored
            mine += [row for row in rows if row.id in stored]
            continue
        place = chance.randrange(len(mine))
        move = db.transaction()
        await move.start()
        moved = await _moved(db, mine[place], chance)
        if chance.random() < 0.2:
            await move.rollback()
        else:
            await move.commit()
            mine[place] = moved
    await db.close()


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
