"""The table of what the doctor has proved to keep the bytes of confirmed files."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple

import sqlalchemy as sa

from app.models.tables import KEY, table


class ProvenSeal(NamedTuple):
    """A row of `proven_seals`: whether a seal holds in a bucket of a store, and since when that is
    known. Without a row it was not tried.
    """

    # `Destination.store`, where the bucket is.
    store: Annotated[str, KEY]
    bucket: Annotated[str, KEY]
    # One of `app.models.files.Seal`.
    seal: Annotated[str, KEY]
    holds: bool
    tried_at: datetime


proven_seals: Final[sa.Table] = table("proven_seals", ProvenSeal)
