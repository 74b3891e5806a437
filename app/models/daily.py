"""The table of daily counts: what became of announcements, by destination."""

from datetime import date
from typing import Annotated, Final, NamedTuple

import sqlalchemy as sa

from app.models.tables import KEY, table

# The outcome of what became a file; all others are the problems with which it was refused.
CONFIRMED: Final = "confirmed"


class DailyCount(NamedTuple):
    """A row of `daily_counts`: so many of a day (UTC) had this outcome; `bytes` of files alone."""

    day: Annotated[date, KEY | {"type_": sa.Date()}]
    tenant: Annotated[str, KEY]
    destination: Annotated[str, KEY]
    outcome: Annotated[str, KEY]
    times: Annotated[int, {"type_": sa.BigInteger()}]
    bytes: Annotated[int, {"type_": sa.BigInteger()}]


daily_counts: Final = table("daily_counts", DailyCount)
