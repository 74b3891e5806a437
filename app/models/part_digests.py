"""The table of the MD5s that were announced of parts, until their upload is a file."""

from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, table


class PartDigest(NamedTuple):
    """A row of `part_digests`. It is never changed: a part is announced once."""

    file_id: Annotated[UUID, KEY]
    part_number: Annotated[int, KEY]
    md5: bytes


part_digests: Final[sa.Table] = table(
    "part_digests",
    PartDigest,
    sa.ForeignKeyConstraint(["file_id"], ["files.id"], ondelete="CASCADE"),
)
