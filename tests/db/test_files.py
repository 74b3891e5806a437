"""Statements on files: rows written and read, who sees what, lists by their indexes."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.ids import first_uuid7
from app.core.narrowing import Narrowing
from app.core.principal import DEV, Principal, Scope, SessionBounds
from app.db import files as db_files
from app.db import lists as db_lists
from app.models.files import File, Readable, State
from tests.db.steps import read
from tests.support.rows import LATER, NOW, SOON, insert, new_file


async def test_a_row_comes_back_as_it_was(db: asyncpg.Connection) -> None:
    empty = new_file(size=None)
    full = File(
        **new_file(State.REMOVING)._asdict()
        | {
            "size": 5 * 1024**4,
            "checksum_sha256": "c" * 44,
            "checksum_verified": True,
            "reason": "why",
            "etag": '"e"',
            "version_id": "v",
            "confirmed_at": NOW,
            "ended_at": SOON,
            "claimed_until": LATER,
            "store_upload_id": "2~x",
            "part_size": 5 * 1024**3,
            "part_count": 10_000,
            "sealed": "multipart",
        }
    )
    await insert(db, empty, full)
    for file in (empty, full):
        assert await read(db, file) == file
        assert await db_files.get_file_by_key(db, file.bucket, file.key, DEV) == file
    stranger = Principal("somebody else")
    assert await db_files.get_file(db, full.id, stranger) is None
    assert await db_files.get_file_by_key(db, full.bucket, full.key, stranger) is None
    assert await db_files.get_file_by_key(db, "other", full.key, DEV) is None


@pytest.mark.parametrize("count", [1, 2])
async def test_an_announced_row_comes_back_as_it_was(db: asyncpg.Connection, count: int) -> None:
    """It is stored without the columns that nothing is known for yet: one alone, and several."""
    known = {
        "tenant": "acme",
        "session_id": UUID(int=1),
        "checksum_sha256": "c" * 44,
        "method": "multipart",
        "part_size": 5 * 1024**3,
        "look_at": LATER,
        "path": "a/b.png",
        "metadata": '{"a":"b"}',
        "reserved": 2**40,
        "integrity": "md5",
        "checksum_md5": "m" * 24,
        "file_request_id": UUID(int=2),
    }
    rows = [new_file(**known) for _ in range(count)]
    await insert(db, *rows)
    for row in rows:
        assert await read(db, row) == row


# Each as it is never announced.
ARRIVED: dict[str, Any] = {
    **dict.fromkeys(
        ("confirmed_at", "ended_at", "claimed_until", "scanned_at", "links_end_at"), SOON
    ),
    **dict.fromkeys(("detected_type", "announced_type"), "image/gif"),
    **dict.fromkeys(("checksum_verified", "self_confirmed", "parts_verified"), True),
    **dict.fromkeys(("reason", "etag", "version_id", "store_upload_id", "charset"), "x"),
    **dict.fromkeys(("scan", "scan_reason"), "clean"),
    **dict.fromkeys(("image", "archive"), '{"x":1}'),
    "part_count": 2,
    "sealed": "version",
    "attachments": 3,
}


@pytest.mark.parametrize("column", ARRIVED)
async def test_what_is_known_already_is_stored_as_well(db: asyncpg.Connection, column: str) -> None:
    alone, first, second = new_file(**{column: ARRIVED[column]}), new_file(), new_file()
    second = second._replace(**{column: ARRIVED[column]})
    await insert(db, alone)
    await insert(db, first, second)
    for row in (alone, first, second):
        assert await read(db, row) == row


async def test_a_key_is_taken_once_a_bucket(db: asyncpg.Connection) -> None:
    first, other = new_file(), new_file()
    await insert(db, first)
    again = new_file(key=first.key)
    elsewhere = new_file(key=first.key, bucket="other")
    assert await db_files.insert_files(db, [again, other, elsewhere]) == {other.id, elsewhere.id}
    assert await read(db, again) is None
    assert await read(db, first) == first
    twins = [new_file(key="twin") for _ in range(2)]
    assert len(await db_files.insert_files(db, twins)) == 1
    # Also of a file that is gone: something signed for its key may still work.
    await db.execute("UPDATE files SET state = 'removed'")
    assert await db_files.insert_files(db, [again]) == set()
    assert await db_files.insert_files(db, []) == set()


@pytest.mark.parametrize(("column", "value"), [("state", "lost"), ("size", -1)])
async def test_what_a_row_cannot_be(db: asyncpg.Connection, column: str, value: object) -> None:
    wrong = new_file()._replace(**{column: value})
    with pytest.raises(asyncpg.CheckViolationError):
        await db_files.insert_files(db, [wrong])


async def test_the_same_bytes_are_the_owners_verified_ones(db: asyncpg.Connection) -> None:
    verified = {"checksum_sha256": "c" * 44, "checksum_verified": True}
    older, newer = (new_file(State.CONFIRMED, created_at=made, **verified) for made in (NOW, LATER))
    others = [
        new_file(State.CONFIRMED, **verified | change)
        for change in (
            {"checksum_verified": False},
            {"checksum_sha256": "d" * 44},
            {"size": 6},
            {"content_type": "text/html"},
            {"destination": "docs"},
            {"owner": "somebody else"},
        )
    ]
    elsewhere = [new_file(state, **verified) for state in State if state != State.CONFIRMED]
    await insert(db, *others, *elsewhere)
    like = new_file(checksum_sha256="c" * 44)
    assert await db_files.confirmed_by_checksum(db, [like]) == []
    await insert(db, newer, older)
    assert await db_files.confirmed_by_checksum(db, [like, like]) == [newer]
    # A session's are its own alone, for it sees no others; its owner sees them all.
    session = new_file(checksum_sha256="c" * 44, session_id=UUID(int=7))
    assert await db_files.confirmed_by_checksum(db, [session]) == []
    newest = new_file(
        State.CONFIRMED,
        created_at=LATER + timedelta(days=1),
        session_id=session.session_id,
        **verified,
    )
    await insert(db, newest)
    assert await db_files.confirmed_by_checksum(db, [session]) == [newest]
    assert await db_files.confirmed_by_checksum(db, [like]) == [newest]


async def test_links_are_for_confirmed_files_of_the_owner(db: asyncpg.Connection) -> None:
    files = [new_file(state) for state in State]
    theirs = new_file(State.CONFIRMED, owner="somebody else")
    await insert(db, *files, theirs)
    [confirmed] = [file for file in files if file.state == State.CONFIRMED]
    everything = [*files, theirs]
    by_id = await db_files.confirmed_by_id(db, [f.id for f in everything] * 2, DEVELOPER)
    assert by_id == [confirmed]
    pairs = [(f.bucket, f.key) for f in everything]
    readable = Readable(*(getattr(confirmed, name) for name in Readable._fields))
    assert await db_files.readable_by_id(db, [f.id for f in everything] * 2, DEVELOPER) == [
        readable
    ]
    assert await db_files.readable_by_key(db, pairs * 2, DEVELOPER) == [readable]
    crossed = [("other", confirmed.key), (confirmed.bucket, "other")]
    assert await db_files.readable_by_key(db, crossed, DEVELOPER) == []
    assert await db_files.confirmed_by_id(db, [], DEVELOPER) == []
    assert await db_files.readable_by_key(db, [], DEVELOPER) == []


DEVELOPER = Principal(DEV.owner)
ALL = frozenset({Scope.FILES_ALL})


async def test_who_sees_what(db: asyncpg.Connection) -> None:
    session = UUID(int=7)
    narrow = SessionBounds(session, "images")
    hers = new_file(State.CONFIRMED, owner="ann", tenant="a")
    through = new_file(State.CONFIRMED, owner="ann", tenant="a", session_id=session)
    colleagues = new_file(State.CONFIRMED, owner="bob", tenant="a")
    elsewhere = new_file(State.CONFIRMED, owner="ann", tenant="b")
    nowhere = new_file(State.CONFIRMED, owner="ann", tenant="")
    everything = [hers, through, colleagues, elsewhere, nowhere]
    await insert(db, *everything)
    for caller, sees in (
        (Principal("ann", "a"), [hers, through]),
        (Principal("bob", "a"), [colleagues]),
        (Principal("ann", "b"), [elsewhere]),
        (Principal("ann"), [nowhere]),
        (Principal("bob"), []),
        (Principal("", "a"), []),
        (Principal("ann", "a", ALL), [hers, through, colleagues]),
        (Principal("root", "b", ALL), [elsewhere]),
        (Principal("ann", "a", session=narrow), [through]),
        (Principal("bob", "a", session=narrow), []),
        (Principal("ann", "b", session=narrow), []),
        # A session sees no more, whatever its maker may see.
        (Principal("ann", "a", ALL, session=narrow), [through]),
    ):
        seen = {file.id for file in sees}
        pairs = [(file.bucket, file.key) for file in everything]
        listed = await db_lists.list_files(db, caller, Narrowing(), 10)
        assert [file.id for file in listed] == sorted(seen, reverse=True)
        by_id = await db_files.confirmed_by_id(db, [file.id for file in everything], caller)
        assert {file.id for file in by_id} == seen
        readable = await db_files.readable_by_id(db, [file.id for file in everything], caller)
        assert {file.id for file in readable} == seen
        by_key = await db_files.readable_by_key(db, pairs, caller)
        assert {file.id for file in by_key} == seen
        for file in everything:
            expected = file if file.id in seen else None
            assert await db_files.get_file(db, file.id, caller) == expected
            assert await db_files.get_file_by_key(db, file.bucket, file.key, caller) == expected


TYPES = ("image/png", "image/webp", "imagery/x", "text/plain; charset=utf-8")


async def listed(db: asyncpg.Connection) -> list[File]:
    """Two days of files; those that the owner's lists show, newest first."""
    kinds = itertools.product(("images", "docs"), TYPES, ("dev", "dev", "other"), State)
    made = [
        new_file(
            state,
            destination=destination,
            content_type=content_type,
            owner=owner,
            created_at=NOW + timedelta(hours=n % 48, milliseconds=n),
            attachments=n % 3,
        )
        for n, (destination, content_type, owner, state) in enumerate(kinds)
    ]
    await insert(db, *made)
    mine = [file for file in made if file.owner == "dev" and file.state == State.CONFIRMED]
    return sorted(mine, key=lambda file: file.id, reverse=True)


async def test_pages_concatenate_to_the_whole_list(db: asyncpg.Connection) -> None:
    whole = await listed(db)
    first, end = first_uuid7(NOW + timedelta(hours=6)), first_uuid7(NOW + timedelta(hours=30))
    combinations = itertools.product(
        (None, "images", "nosuch"),
        (None, "image/png", "image/*"),
        (None, first),
        (None, end),
        (False, True),
        (1, 5),
    )
    for destination, content_type, since, before, loose, limit in combinations:
        expected = [
            file
            for file in whole
            if destination in {None, file.destination}
            and (
                content_type in {None, file.content_type}
                or (content_type == "image/*" and file.content_type.startswith("image/"))
            )
            and (since is None or file.id >= since)
            and (before is None or file.id < before)
            and not (loose and file.attachments)
        ]
        assert expected or destination == "nosuch"
        pages: list[File] = []
        last: UUID | None = before
        while page := await db_lists.list_files(
            db, DEVELOPER, Narrowing(destination, content_type, since, last, loose), limit
        ):
            assert len(page) <= limit
            pages += page
            last = page[-1].id
        assert pages == expected
