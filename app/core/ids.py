"""UUIDv7 (RFC 9562 section 5.7): ids that sort by the time they were made."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the Unix epoch of an aware datetime."""
    # In integers: floating-point seconds are off by one for about one moment in a hundred.
    return (moment - _EPOCH) // _MILLISECOND


def uuid7_bytes(now: datetime, randomness: bytes) -> bytes:
    """The 16 bytes of the UUIDv7 of `now` and 8 random bytes, of which 62 bits are used.

    The microseconds go into rand_a (section 6.2, method 3), so that files announced in one batch
    sort in its order.
    """
    rand_a = (now.microsecond % 1000 << 12) // 1000
    rand_b = int.from_bytes(randomness[:8]) & (1 << 62) - 1
    number = milliseconds(now) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    return number.to_bytes(16)


def uuid7(now: datetime, randomness: bytes) -> UUID:
    """The UUIDv7 of `now` and 8 random bytes, as `uuid7_bytes` has them."""
    return UUID(bytes=uuid7_bytes(now, randomness))


def first_uuid7(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that microsecond: a bound for ranges of time."""
    return uuid7(moment, bytes(8))
