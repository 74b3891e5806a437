"""The table of what the doctor has proved to keep the bytes of confirmed files."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple

import sqlalchemy as sa

from app.models.tables import KEY, table

# What is proved of MD5s (`integrity` of a destination): other bytes than a signed Content-MD5 are
# refused, and so is a request without it; ETags are those of `app.core.integrity`.
CONTENT_MD5: Final = "content_md5"
MD5_ETAGS: Final = "md5_etags"


class ProvenSeal(NamedTuple):
    """A row of `proven_seals`: whether a seal holds in a bucket of a store, and since when that is
    known. Without a row it was not tried.
    """

    # `Destination.store`, where the bucket is.
    store: Annotated[str, KEY]
    bucket: Annotated[str, KEY]
    # One of `app.models.files.Seal`, or of those above.
    seal: Annotated[str, KEY]
    holds: bool
    tried_at: datetime


proven_seals: Final[sa.Table] = table("proven_seals", ProvenSeal)
