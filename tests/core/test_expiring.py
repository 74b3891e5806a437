from datetime import UTC, datetime, timedelta

from app.core.expiring import Expiring

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def test_a_thing_is_known_until_its_moment() -> None:
    known = Expiring[str, int](2)
    assert known.get("files", NOW) is None
    known.note("files", 5, LATER)
    assert known.get("files", NOW) == 5
    assert known.get("others", NOW) is None
    assert known.get("files", LATER) is None
    assert len(known) == 0


def test_the_one_noted_first_makes_room() -> None:
    known = Expiring[str, int](2)
    for number, thing in enumerate(("first", "second", "first", "third")):
        known.note(thing, number, LATER)
    assert [known.get(thing, NOW) for thing in ("first", "second", "third")] == [2, None, 3]
    assert len(known) == 2


def test_what_is_forgotten_by_value_makes_no_room_twice() -> None:
    known = Expiring[int, str](3)
    for number, name in enumerate(("ann", "bob", "ann")):
        known.note(number, name, LATER)
    known.forget(lambda name: name == "ann")
    assert [known.get(number, NOW) for number in range(3)] == [None, "bob", None]
    for number in (3, 4):
        known.note(number, "eve", LATER)
    assert (len(known), known.get(1, NOW)) == (3, "bob")
