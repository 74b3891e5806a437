"""Moves between states: each from the states that allow it, by one caller alone."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from app.db import moves
from app.models.files import MOVES, File, State
from tests.db.steps import read
from tests.support.rows import LATER, NOW, SOON, insert, new_file


async def _finish(db: asyncpg.Connection, file: File) -> None:
    await moves.finish_removal(db, file, LATER, LATER)


# Each with the state that it moves to (None: it stays) and the states from which it may.
STEPS = {
    "confirm": (
        lambda db, file: moves.mark_confirmed(db, file._replace(confirmed_at=NOW)),
        State.CONFIRMED,
        {State.PENDING, State.COMPLETING},
    ),
    "reject": (
        lambda db, file: moves.mark_rejected(db, file, "why", NOW),
        State.REJECTED,
        {State.PENDING, State.COMPLETING},
    ),
    "complete": (
        lambda db, file: moves.claim_completion(db, file, 5, NOW, LATER),
        State.COMPLETING,
        {State.PENDING},
    ),
    "abandon": (moves.abandon_completion, State.PENDING, {State.COMPLETING}),
    "release": (
        lambda db, file: moves.mark_released(db, file, NOW),
        State.RELEASED,
        {State.CONFIRMED},
    ),
    "restore": (moves.mark_restored, State.CONFIRMED, {State.RELEASED}),
    "claim file": (
        lambda db, file: moves.claim_file_removal(db, file, NOW, LATER),
        State.REMOVING,
        {State.CONFIRMED},
    ),
    "claim upload": (
        lambda db, file: moves.claim_upload_removal(db, file, NOW, LATER),
        State.REMOVING,
        {State.PENDING, State.REJECTED},
    ),
    "finish": (_finish, State.REMOVED, {State.REMOVING}),
    "renew": (
        lambda db, file: moves.extend_upload(db, file, LATER + timedelta(days=1)),
        None,
        {State.PENDING},
    ),
    "learn": (lambda db, file: moves.learn_upload(db, file, "2~x"), None, {State.PENDING}),
    "extend": (
        lambda db, file: moves.move_lease(db, file, LATER),
        None,
        {State.COMPLETING, State.REMOVING},
    ),
}


def test_the_steps_make_every_allowed_move_and_no_other() -> None:
    made = {
        (before, after)
        for _, after, befores in STEPS.values()
        for before in befores
        if after is not None
    }
    assert made == {(before, after) for before in State for after in MOVES[before]}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("step", STEPS)
async def test_each_step_from_each_state(db: asyncpg.Connection, step: str, before: State) -> None:
    take, after, allowed = STEPS[step]
    file = new_file(before)
    await insert(db, file)
    # Nobody else can take it at all.
    assert await take(db, file._replace(owner="somebody else")) is None
    assert await read(db, file) == file
    answer = await take(db, file)
    stored = await read(db, file)
    if before in allowed:
        assert stored is not None
        assert stored.state == (after or before)
        assert stored != file
        assert step == "finish" or answer == stored
    else:
        assert answer is None
        assert stored == file


async def test_what_each_step_writes(db: asyncpg.Connection) -> None:
    one, two = new_file(size=None), new_file()
    await insert(db, one, two)
    said = one._replace(
        size=9,
        content_type="image/webp",
        etag='"e"',
        version_id="v1",
        checksum_sha256="c" * 44,
        checksum_verified=True,
        confirmed_at=SOON,
        sealed="version",
    )
    confirmed = said._replace(state="confirmed")
    # The key is not for the bucket to say, nor is anything else that stands in the row.
    assert await moves.mark_confirmed(db, said._replace(key="x")) == confirmed
    claimed = confirmed._replace(state="removing", claimed_until=LATER)
    assert await moves.claim_file_removal(db, one, NOW, LATER) == claimed
    await moves.finish_removal(db, claimed, SOON, LATER)
    removed = claimed._replace(state="removed", claimed_until=LATER, ended_at=SOON)
    assert await read(db, one) == removed
    rejected = two._replace(state="rejected", reason="too big", ended_at=SOON)
    assert await moves.mark_rejected(db, two, "too big", SOON) == rejected


async def test_nobody_rejects_what_another_is_completing(db: asyncpg.Connection) -> None:
    file = new_file(method="multipart")
    await insert(db, file)
    claimed = await moves.claim_completion(db, file, 9, NOW, SOON)
    assert claimed is not None
    # What was missing when the row was read as pending may be what is being joined now.
    assert await moves.mark_rejected(db, file, "lost", SOON) is None
    assert await read(db, file) == claimed
    rejected = await moves.mark_rejected(db, claimed, "lost", SOON)
    assert rejected is not None
    assert rejected.state == "rejected"


async def test_an_upload_that_was_given_longer_is_not_removed(db: asyncpg.Connection) -> None:
    file = new_file()
    await insert(db, file)
    renewed = await moves.extend_upload(db, file, file.expires_at + (LATER - NOW))
    assert renewed is not None
    claim = moves.claim_upload_removal
    assert await claim(db, file, NOW, SOON, file.expires_at) is None
    assert await read(db, file) == renewed
    assert await claim(db, file, NOW, SOON, renewed.expires_at) is not None


async def test_a_completion_from_claim_to_end(db: asyncpg.Connection) -> None:
    file = new_file(method="multipart")
    await insert(db, file)
    learnt = await moves.learn_upload(db, file, "2~first")
    assert learnt == file._replace(store_upload_id="2~first")
    assert await moves.learn_upload(db, file, "2~second") is None
    claimed = await moves.claim_completion(db, file, 9, NOW, SOON, part_count=3)
    assert claimed == learnt._replace(
        state="completing", claimed_until=SOON, part_size=9, part_count=3
    )
    abandoned = await moves.abandon_completion(db, claimed)
    assert abandoned == claimed._replace(state="pending", claimed_until=None, part_count=None)
    claimed = await moves.claim_completion(db, file, 9, NOW, SOON)
    assert claimed is not None
    confirmed = await moves.mark_confirmed(db, claimed._replace(confirmed_at=SOON))
    assert confirmed == claimed._replace(state="confirmed", claimed_until=None, confirmed_at=SOON)


async def test_a_completion_that_another_took_over_cannot_be_abandoned(
    db: asyncpg.Connection,
) -> None:
    file = new_file(method="multipart")
    await insert(db, file)
    first = await moves.claim_completion(db, file, 9, NOW, SOON)
    second = await moves.claim_completion(db, file, 9, LATER, LATER + timedelta(minutes=1))
    assert first is not None
    assert second is not None
    assert await moves.abandon_completion(db, first) is None
    assert await moves.move_lease(db, first, NOW) is None
    assert await read(db, file) == second


async def test_instructions_never_end_earlier_than_signed(db: asyncpg.Connection) -> None:
    file = new_file()
    await insert(db, file)
    sooner = await moves.extend_upload(db, file, file.expires_at - timedelta(minutes=30))
    assert sooner == file
    end = file.expires_at + timedelta(hours=1)
    assert await moves.extend_upload(db, file, end) == file._replace(expires_at=end)


async def test_twenty_confirms_at_once_make_one_change(
    db: asyncpg.Connection, database_url: str
) -> None:
    file = new_file()
    await insert(db, file)
    connections = [await asyncpg.connect(database_url) for _ in range(20)]
    answers = await asyncio.gather(
        *(
            moves.mark_confirmed(connection, file._replace(etag=f'"{n}"', confirmed_at=NOW))
            for n, connection in enumerate(connections)
        )
    )
    for connection in connections:
        await connection.close()
    [winner] = [answer for answer in answers if answer is not None]
    assert await read(db, file) == winner
    assert winner.state == State.CONFIRMED
    assert await db.fetchval("SELECT count(*) FROM files") == 1


async def _claim_completion(
    db: asyncpg.Connection, file: File, now: datetime, until: datetime
) -> File | None:
    return await moves.claim_completion(db, file, 5, now, until)


async def test_a_lease_keeps_others_out_until_it_ends(db: asyncpg.Connection) -> None:
    for claim, state in (
        (moves.claim_file_removal, State.CONFIRMED),
        (moves.claim_upload_removal, State.PENDING),
        (_claim_completion, State.PENDING),
    ):
        file = new_file(state)
        await insert(db, file)
        assert await claim(db, file, NOW, SOON)
        assert await claim(db, file, NOW, LATER) is None
        assert await claim(db, file, SOON, LATER) is None  # to the end, and not after it
        taken_over = await claim(db, file, SOON + timedelta(microseconds=1), LATER)
        assert taken_over is not None
        assert taken_over.claimed_until == LATER


async def test_a_lost_lease_cannot_be_given_back(db: asyncpg.Connection) -> None:
    file = new_file(State.CONFIRMED)
    await insert(db, file)
    first = await moves.claim_file_removal(db, file, NOW, SOON)
    second = await moves.claim_file_removal(db, file, LATER, LATER + timedelta(minutes=1))
    assert first is not None
    assert second is not None
    await moves.move_lease(db, first, LATER)
    assert await read(db, file) == second
    await moves.move_lease(db, second, LATER)
    freed = await moves.claim_file_removal(
        db, file, LATER + timedelta(microseconds=1), LATER + timedelta(minutes=2)
    )
    assert freed is not None
