"""When a webhook that failed is tried again. Pure."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_LONGEST: Final = timedelta(hours=24)
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""Between the tries, as Standard Webhooks has it: the tenth failure, after three days, is the last.
"""


def pause_after(
    failures: int, retry_after: str | None, now: datetime, randomness: float
) -> timedelta | None:
    """How long to wait after so many failures (from 1); None where no try is left.

    Up to a fifth longer than in PAUSES (`randomness` is from 0 to 1), so that what failed together
    does not come back together; and no sooner than the receiver's `Retry-After` says, up to a day.
    """
    if failures > len(PAUSES):
        return None
    asked = min(_asked(retry_after, now), _LONGEST)
    return max(PAUSES[failures - 1], asked) * (1 + randomness / 5)


def _asked(retry_after: str | None, now: datetime) -> timedelta:
    """RFC 9110 section 10.2.3: seconds or a date; zero where it is neither."""
    if retry_after is None:
        return timedelta()
    if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 10:
        return timedelta(seconds=int(retry_after))
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return timedelta()
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
