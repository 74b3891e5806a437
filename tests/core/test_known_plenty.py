from datetime import UTC, datetime, timedelta

from app.core.known_plenty import KnownPlenty

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def test_a_thing_is_known_until_its_moment() -> None:
    known = KnownPlenty()
    assert not known.holds("files", NOW)
    known.note("files", LATER)
    assert known.holds("files", NOW)
    assert not known.holds("files", LATER)
    assert not known.holds("others", NOW)


def test_the_one_noted_first_makes_room() -> None:
    known = KnownPlenty(limit=2)
    for thing in ("first", "second", "first", "third"):
        known.note(thing, LATER)
    assert [known.holds(thing, NOW) for thing in ("first", "second", "third")] == [
        True,
        False,
        True,
    ]
