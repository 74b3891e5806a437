"""A bounded memory of strings."""

import gc

from app.core.recent import Recent


def test_what_was_asked_for_lately_is_remembered_and_no_more_than_the_limit() -> None:
    recent = Recent(8)
    for number in range(100):
        assert recent.get(f"{number}") is None
        recent.note(f"{number}", f"of {number}")
        assert recent.get(f"{number}") == f"of {number}"
        assert recent.get("0") == "of 0"
        assert len(recent) <= 8
    assert recent.get("98") == "of 98"
    assert recent.get("50") is None


def test_the_garbage_collector_goes_through_none_of_it() -> None:
    recent = Recent(8)
    recent.note("a", "b")
    assert not gc.is_tracked(recent._new)


def test_what_is_forgotten_is_let_go_of_one_by_one() -> None:
    recent = Recent(200)
    held = 0
    for number in range(1000):
        recent.note(f"{number}", "")
        before, held = held, len(recent) + len(recent._forgotten)
        assert before - 1 <= held <= 200
    assert held > 100
