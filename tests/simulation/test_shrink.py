from collections.abc import Sequence

from tests.simulation.shrink import shrink


def test_what_is_not_needed_is_left_out() -> None:
    items = [f"item {number}" for number in range(40)]
    tries = 0

    def fails(left_out: Sequence[str]) -> bool:
        nonlocal tries
        tries += 1
        return not {"item 3", "item 29"} & set(left_out)

    left_out = shrink(items, fails)
    assert sorted({*items} - {*left_out}) == ["item 29", "item 3"]
    assert tries < 100


def test_all_that_may_go_together_is_kept_where_nothing_can() -> None:
    assert shrink(["a", "b", "c"], lambda left_out: False) == []
    assert shrink([], lambda left_out: True) == []


def test_tries_are_bounded() -> None:
    tries = []
    shrink([str(number) for number in range(1000)], lambda left_out: bool(tries.append(1)), most=7)
    assert len(tries) == 7
