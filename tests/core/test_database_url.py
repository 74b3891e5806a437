import re

import pytest

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
        (f"{PLAIN}?sslmode=foo", "sslmode=foo is none of"),
        (f"{PLAIN}?schema=public", "'schema'"),
    ],
)
def test_what_would_fail_later_is_refused_now(given: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        normalize_database_url(given)
    assert "hunter2" not in str(caught.value)
