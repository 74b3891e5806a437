import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.database_url import normalize_database_url

PLAIN = "postgresql://u:hunter2@db.example:5432/d"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (PLAIN, PLAIN),
        ("postgres://u:p%40ss@h/d", "postgres://u:p%40ss@h/d"),
        (f"{PLAIN}?sslmode=require", f"{PLAIN}?sslmode=require"),
        (f"{PLAIN}?sslmode=require&channel_binding=require", f"{PLAIN}?sslmode=require"),
        (f"{PLAIN}?connect_timeout=10&pgbouncer=true", PLAIN),
        ("postgres:///d?host=/tmp/socket&user=u", "postgres:///d?host=%2Ftmp%2Fsocket&user=u"),
        ("postgres://[::1]:5432/d", "postgres://[::1]:5432/d"),
    ],
)
def test_urls_as_hosts_hand_them_out(given: str, taken: str) -> None:
    assert normalize_database_url(given) == taken


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("mysql://u:hunter2@h/d", "must start with postgres://"),
        ("postgres://u:hunter2@h:abc/d", "port"),
        ("postgres://u:hunter2@h:99999/d", "port"),
        ("postgres://", "names no host"),
        (f"{PLAIN}?sslmode=foo", "its sslmode is none of"),
        (f"{PLAIN}?schema=public", "has a parameter that"),
    ],
)
def test_what_would_fail_later_is_refused_now(given: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        normalize_database_url(given)
    assert "hunter2" not in str(caught.value)


@given(
    st.text()
    | st.from_regex(
        r"postgres(ql)?://[^\x00-\x1f]{0,9}(:hunter2)?@?[^\x00-\x1f]{0,9}(/[^\x00-\x1f]{0,9})?(\?[^\x00-\x1f]{0,9}=[^\x00-\x1f]{0,9})?",
        fullmatch=True,
    )
)
def test_any_text_is_a_url_or_refused_in_words(text: str) -> None:
    taken, refusal = None, ""
    try:
        taken = normalize_database_url(text)
    except ValueError as error:
        refusal = str(error)
    assert "hunter2" not in refusal
    if taken is not None:
        assert taken.startswith(("postgres://", "postgresql://"))
        assert normalize_database_url(taken) == taken
