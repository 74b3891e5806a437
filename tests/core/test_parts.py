import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.parts import (
    MAX_OBJECT_SIZE,
    MAX_PART_SIZE,
    MAX_PARTS,
    MIB,
    MIN_PART_SIZE,
    Layout,
    gaps,
    lay_out,
)

sizes = st.one_of(
    st.integers(0, 200 * MIB), st.integers(0, MAX_OBJECT_SIZE), st.just(MAX_OBJECT_SIZE)
)
preferred = st.integers(MIN_PART_SIZE, MAX_PART_SIZE)
small = st.builds(Layout, st.integers(0, 500), st.integers(1, 100))


@given(sizes, preferred)
def test_a_layout_is_one_that_s3_takes(size: int, preferred: int) -> None:
    layout = lay_out(size, preferred)
    assert 1 <= layout.count <= MAX_PARTS
    assert preferred <= layout.part_size <= MAX_PART_SIZE
    # All but the last are equal, and together they are the file.
    last = layout.size_of(layout.count)
    assert (layout.count - 1) * layout.part_size + last == size
    assert 0 < last <= layout.part_size or size == 0
    if layout.count > 1:
        assert layout.size_of(1) == layout.size_of(layout.count - 1) == layout.part_size


@given(sizes, preferred)
def test_parts_are_larger_than_preferred_only_where_they_must_be(size: int, preferred: int) -> None:
    part_size = lay_out(size, preferred).part_size
    if part_size > preferred:
        assert part_size % MIB == 0
        assert (part_size - MIB) * MAX_PARTS < size


@given(small)
def test_what_has_arrived_is_not_missing(layout: Layout) -> None:
    whole = {n: layout.size_of(n) for n in range(1, layout.count + 1)}
    assert sum(whole.values()) == layout.size
    assert layout.missing(whole) == []
    assert layout.missing({}) == list(whole)
    # Parts beyond the end do not count, those of another size do.
    assert layout.missing(whole | {layout.count + 1: 5}) == []
    for number in whole:
        assert layout.missing(whole | {number: layout.size_of(number) + 1}) == [number]


def test_known_layouts() -> None:
    assert lay_out(0, 16 * MIB) == Layout(0, 16 * MIB)
    assert (Layout(0, 16 * MIB).count, Layout(0, 16 * MIB).size_of(1)) == (1, 0)
    # Of one that is joined the part's own size is known.
    assert Layout(0, 0).count == 1
    assert lay_out(160 * MIB, 16 * MIB).count == 10
    assert lay_out(160 * MIB + 1, 16 * MIB).count == 11
    assert lay_out(10**12, 16 * MIB) == Layout(10**12, 96 * MIB)
    assert lay_out(MAX_OBJECT_SIZE, MIN_PART_SIZE) == Layout(MAX_OBJECT_SIZE, MAX_PART_SIZE)


@pytest.mark.parametrize(
    ("size", "preferred"),
    [
        (-1, MIN_PART_SIZE),
        (MAX_OBJECT_SIZE + 1, MIN_PART_SIZE),
        (1, MIN_PART_SIZE - 1),
        (1, MAX_PART_SIZE + 1),
    ],
)
def test_what_no_parts_make(size: int, preferred: int) -> None:
    with pytest.raises(ValueError, match="no parts of"):
        lay_out(size, preferred)


@given(st.sets(st.integers(1, 60)), st.integers(0, 70))
def test_gaps_are_what_is_missing_up_to_the_count(numbers: set[int], count: int) -> None:
    missing = gaps(numbers, count)
    assert missing == sorted(set(missing))
    assert numbers.isdisjoint(missing)
    assert {n for n in numbers if n <= count} | set(missing) == set(range(1, count + 1))
