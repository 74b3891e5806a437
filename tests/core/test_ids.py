from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.ids import first_uuid7, milliseconds, uuid7
from app.db.ids import row_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 8000 * 365 * 86_400 * 10**6).map(
    lambda microseconds: EPOCH + timedelta(microseconds=microseconds)
)
RANDOMNESS = st.binary(min_size=8, max_size=8)


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6, but for rand_a: 798 microseconds are 0xCC4 of 0x1000 parts."""
    moment = datetime(2022, 2, 22, 19, 22, 22, 798, tzinfo=UTC)
    made = uuid7(moment, bytes.fromhex("18c4dc0c0c07398f"))
    assert str(made) == "017f22e2-79b0-7cc4-98c4-dc0c0c07398f"


@given(MOMENTS, RANDOMNESS)
def test_every_id_is_a_uuid7_of_its_moment(moment: datetime, randomness: bytes) -> None:
    made = uuid7(moment, randomness)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == milliseconds(moment)
    assert first_uuid7(moment) <= made < first_uuid7(moment + timedelta(microseconds=1))


@given(MOMENTS, RANDOMNESS)
def test_a_row_has_the_same_id_of_the_driver_s_kind(moment: datetime, randomness: bytes) -> None:
    made, same = row_id(moment, randomness), uuid7(moment, randomness)
    assert isinstance(made, UUID)
    assert (made, str(made), hash(made)) == (same, str(same), hash(same))


@given(MOMENTS, MOMENTS, RANDOMNESS, RANDOMNESS)
def test_ids_sort_by_time(a: datetime, b: datetime, one: bytes, other: bytes) -> None:
    if a < b:
        assert uuid7(a, one) < uuid7(b, other)


@given(RANDOMNESS, RANDOMNESS)
def test_ids_of_one_moment_differ_with_their_randomness(one: bytes, other: bytes) -> None:
    used = (1 << 62) - 1
    same = int.from_bytes(one) & used == int.from_bytes(other) & used
    assert (uuid7(EPOCH, one) == uuid7(EPOCH, other)) is same


@given(st.integers(0, 2**41), st.integers(0, 999))
def test_milliseconds_are_exact(count: int, microseconds: int) -> None:
    """Floating-point seconds would lose one now and then, and files of a list's first moment."""
    moment = EPOCH + timedelta(milliseconds=count, microseconds=microseconds)
    assert milliseconds(moment) == count
    assert milliseconds(moment.astimezone(timezone(timedelta(hours=5, minutes=30)))) == count


def test_a_moment_needs_its_offset() -> None:
    with pytest.raises(TypeError):
        milliseconds(datetime(2026, 1, 1))  # noqa: DTZ001
