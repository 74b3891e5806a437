from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.grants import grant_maker, is_granted, window_end

FILE, OTHER = UUID(int=1), UUID(int=2)
SECRET = b"s" * 32


def test_a_grant_is_for_one_file_until_its_end() -> None:
    grant = grant_maker(SECRET, 1000)(FILE.bytes)
    assert is_granted(SECRET, FILE, grant, 999.9)
    assert not is_granted(SECRET, FILE, grant, 1000)
    assert not is_granted(SECRET, OTHER, grant, 999)
    assert not is_granted(b"another", FILE, grant, 999)


@pytest.mark.parametrize(
    "change",
    [
        lambda grant: grant.replace("1000", "2000"),
        lambda grant: grant.replace("1000", "01000"),
        lambda grant: grant.replace("1000", "+1000"),
        lambda grant: grant.replace("1000", " 1000"),
        lambda grant: grant.replace("1000", "1_000"),
        lambda grant: grant.replace("1000", "१०००"),
        lambda grant: grant.replace("1000", "9" * 5000),
        lambda grant: grant + "=",
        lambda grant: grant + "==",
        lambda grant: grant[:-1],
        lambda grant: grant + "A",
        lambda grant: grant.replace(".", ""),
        lambda grant: grant.partition(".")[0],
        lambda grant: grant.partition(".")[2],
        lambda grant: "",
        lambda grant: "\ud800",
    ],
)
def test_no_other_spelling_will_do(change: object) -> None:
    assert callable(change)
    assert not is_granted(SECRET, FILE, change(grant_maker(SECRET, 1000)(FILE.bytes)), 1)


@given(st.text())
@example("1000.AAAAAAAAAAAAAAAAAAAAAA")
@example("0.")
def test_nothing_made_up_is_a_grant(text: str) -> None:
    assert not is_granted(SECRET, FILE, text, 1)


@given(
    now=st.floats(min_value=0, max_value=2**33),
    expires_in=st.integers(min_value=1, max_value=604_800),
    window=st.integers(min_value=0, max_value=604_800),
)
def test_it_lives_as_long_as_promised_and_a_window_more_at_most(
    now: float, expires_in: int, window: int
) -> None:
    end = window_end(now, expires_in, window)
    assert int(now) + expires_in <= end <= int(now) + expires_in + window
    if window:
        assert window_end(int(now) // window * window, expires_in, window) == end
