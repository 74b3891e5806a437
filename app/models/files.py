"""The tables of files, with the states they go through. Other subjects are in models_*.py.

Alembic migrates to what stands in all of them; `alembic check` holds the two together.
"""

import itertools
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.core.parts import Layout

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)
MOMENT: Final = sa.DateTime(timezone=True)


class State(StrEnum):
    """Where a file is in its life."""

    PENDING = "pending"  # announced; its bytes may be on their way
    COMPLETING = "completing"  # claimed by one worker, which has the bucket join the parts
    CONFIRMED = "confirmed"  # the bucket was asked, and holds what was announced
    REJECTED = "rejected"  # the bucket holds something else; `reason` says what
    RELEASED = "released"  # gone from the API, the object stays; the row says it is no orphan
    REMOVING = "removing"  # claimed by one worker, which is deleting the object
    REMOVED = "removed"  # tombstone, until nothing signed for the key can still work


# The migration that brings the tables to what stands here.
REVISION: Final = "0001"

# The allowed moves; app.db.files makes no others.
MOVES: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.COMPLETING, State.CONFIRMED, State.REJECTED, State.REMOVING}),
    # Back to pending when the bucket refused: what is missing can still be sent.
    State.COMPLETING: frozenset({State.PENDING, State.CONFIRMED, State.REJECTED}),
    State.CONFIRMED: frozenset({State.RELEASED, State.REMOVING}),
    State.REJECTED: frozenset({State.REMOVING}),
    State.RELEASED: frozenset(),
    State.REMOVING: frozenset({State.REMOVED}),
    State.REMOVED: frozenset(),
}


def states_before(state: State) -> list[State]:
    """The states from which a file may move to `state`."""
    return [before for before, after in MOVES.items() if state in after]


class Seal(StrEnum):
    """What keeps a confirmed file's bytes from being replaced by whoever uploaded them."""

    VERSION = "version"  # its links pin the version that was confirmed
    MULTIPART = "multipart"  # its parts were joined by us, and their URLs are dead since
    CONDITIONAL = "conditional"  # its URL only creates, on a store that is known to obey
    NO = "no"  # nothing, until what was signed for it expires


files: Final = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("tenant", sa.Text(), nullable=False, server_default=""),
    # The upload session through which it came, if any.
    sa.Column("session_id", sa.Uuid()),
    sa.Column("destination", sa.Text(), nullable=False),
    sa.Column("bucket", sa.Text(), nullable=False),
    # Byte order, in which buckets list their keys: `claimcheck reconcile` walks both at once.
    sa.Column("key", sa.Text(collation="C"), nullable=False),
    sa.Column("url", sa.Text(), nullable=False),
    sa.Column("filename", sa.Text(), nullable=False),
    # Byte order, so that `image/*` is a range of the index whatever the database's locale is.
    sa.Column("content_type", sa.Text(collation="C"), nullable=False),
    # What the contents were found to be at confirm.
    sa.Column("detected_type", sa.Text()),
    sa.Column("size", sa.BigInteger()),
    sa.Column("checksum_sha256", sa.Text()),
    sa.Column("checksum_verified", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("method", sa.Text(), nullable=False),
    sa.Column("state", sa.Text(), nullable=False),
    sa.Column("reason", sa.Text()),
    sa.Column("etag", sa.Text()),
    sa.Column("version_id", sa.Text()),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("expires_at", MOMENT, nullable=False),
    sa.Column("confirmed_at", MOMENT),
    sa.Column("ended_at", MOMENT),
    sa.Column("claimed_until", MOMENT),
    sa.Column("store_upload_id", sa.Text()),
    sa.Column("part_size", sa.BigInteger()),
    sa.Column("sealed", sa.Text(), nullable=False, server_default=Seal.NO.value),
    # How often the file stands in `record_files`. Kept in the row so that whoever attaches a file
    # and whoever removes it wait for each other, and so that an index can find the loose ones.
    sa.Column("attachments", sa.Integer(), nullable=False, server_default="0"),
    # How many pending uploads its owner might have, this one included, when it was announced. NULL:
    # it is not counted. Triggers, which the migration makes, keep the counts in `pending_uploads`.
    sa.Column("pending_cap", sa.Integer()),
    # How many parts are being joined of an upload without a size: whoever takes over joins as many.
    sa.Column("part_count", sa.Integer()),
    sa.UniqueConstraint("bucket", "key"),
    sa.CheckConstraint(
        f"state IN ({', '.join(repr(state.value) for state in State)})", name="state_known"
    ),
    sa.CheckConstraint("size >= 0", name="size_not_negative"),
    sa.CheckConstraint("attachments >= 0", name="attachments_not_negative"),
)

# What lists are narrowed to, by name: columns, and what is made of columns.
LISTED_BY: Final[dict[str, sa.ColumnElement[Any]]] = {
    **{column.name: column for column in files.columns},
    # Whether a record holds it, 1 or 0.
    "held": sa.func.least(files.c.attachments, sa.literal_column("1", sa.Integer())),
    # `image` of `image/png`.
    "family": sa.func.split_part(
        files.c.content_type,
        sa.literal_column("'/'", sa.Text()),
        sa.literal_column("1", sa.Integer()),
        type_=sa.Text(),
    ),
}
# Lists show confirmed files, newest first: the id is a UUIDv7, so it sorts by time. Whatever they
# are narrowed to, there is an index of exactly that; app.db.files walks it.
_LISTED = files.c.state == State.CONFIRMED.value
for _whose, _where, _kind in itertools.product(
    (["tenant"], ["tenant", "owner"]), ([], ["destination"]), ([], ["content_type"], ["family"])
):
    _names = [*_whose, *_where, *_kind]
    sa.Index(
        f"ix_files_list_{'_'.join(_names)}",
        *(LISTED_BY[name] for name in ("held", *_names, "id")),
        postgresql_where=_LISTED,
    )
# The same bytes again, where a destination does not have them sent twice.
sa.Index(
    "ix_files_checksum",
    files.c.tenant,
    files.c.owner,
    files.c.destination,
    files.c.checksum_sha256,
    postgresql_where=sa.and_(_LISTED, files.c.checksum_verified),
)
# What a sweep looks for: uploads that nobody confirmed, claims that nobody finished.
sa.Index(
    "ix_files_expired",
    files.c.expires_at,
    postgresql_where=files.c.state == State.PENDING.value,
)
sa.Index(
    "ix_files_claimed",
    files.c.claimed_until,
    postgresql_where=files.c.state.in_([State.COMPLETING.value, State.REMOVING.value]),
)
# Objects of rejected uploads that are to go, and have not yet.
sa.Index(
    "ix_files_rejected",
    files.c.claimed_until,
    postgresql_where=sa.and_(
        files.c.state == State.REJECTED.value, files.c.claimed_until.is_not(None)
    ),
)
# And tombstones that it is time to look at again.
sa.Index(
    "ix_files_tombstones",
    files.c.claimed_until,
    postgresql_where=files.c.state == State.REMOVED.value,
)
# For whoever looks through all files of a tenant (app.db.search): what their names begin with,
# and what is in no list of the API. The migration has the names in byte order; alembic does not see
# that, and would see a difference if it were said here.
sa.Index(
    "ix_files_tenant_name",
    files.c.tenant,
    sa.func.lower(files.c.filename),
    files.c.id,
    postgresql_where=_LISTED,
)
sa.Index(
    "ix_files_tenant_unlisted",
    files.c.tenant,
    files.c.state,
    files.c.id,
    postgresql_where=files.c.state != State.CONFIRMED.value,
)


class File(NamedTuple):
    """A row of `files`, column by column in the table's order.

    `size` is None until confirm where the client did not announce one. `checksum_sha256` is
    base64, as S3 writes it. `expires_at` is the end of the last instructions that were signed for
    the upload; `claimed_until` that of the lease of whoever is completing, removing or sweeping
    it, and in a tombstone the moment from which the sweep looks at it again. A rejected upload has
    one if its object is to go.
    `store_upload_id` is the store's name of a multipart upload, None until it is known;
    `part_size` is in bytes, None where it is the client's choice, until completion. `attachments`
    counts the records' fields that hold the file. `pending_cap` is the cap on its owner's pending
    uploads that it was announced under, None for none. `part_count` is how many parts are being
    joined where no size says it; None before. All moments are aware, in UTC.
    """

    id: UUID
    owner: str
    tenant: str
    session_id: UUID | None
    destination: str
    bucket: str
    key: str
    url: str
    filename: str
    content_type: str
    detected_type: str | None
    size: int | None
    checksum_sha256: str | None
    checksum_verified: bool
    method: str
    state: str
    reason: str | None
    etag: str | None
    version_id: str | None
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    claimed_until: datetime | None
    store_upload_id: str | None
    part_size: int | None
    sealed: str
    attachments: int
    pending_cap: int | None
    part_count: int | None

    @property
    def may_share_key(self) -> bool:
        """Whether a client may have chosen the key, which others may use as well: that is so for
        forms without a size alone. Of one that is confirmed it is not known any more.
        """
        return self.method == "post" and self.size is None

    @property
    def layout(self) -> Layout | None:
        """Its parts; None where the client chooses them and it is not confirmed yet."""
        if self.size is None or self.part_size is None:
            return None
        return Layout(self.size, self.part_size)


class Readable(NamedTuple):
    """What it takes to read a confirmed file: a part of its row."""

    id: UUID
    destination: str
    bucket: str
    key: str
    url: str
    filename: str
    content_type: str
    detected_type: str | None
    version_id: str | None


# How many uploads an owner has pending or completing, of those that have a `pending_cap`.
pending_uploads: Final = sa.Table(
    "pending_uploads",
    metadata,
    sa.Column("tenant", sa.Text(), primary_key=True),
    sa.Column("owner", sa.Text(), primary_key=True),
    sa.Column("uploads", sa.Integer(), nullable=False),
    sa.CheckConstraint("uploads >= 0", name="not_negative"),
)

# What all sweeps have done since the beginning, `run` among it: they are processes of their own,
# which end before anybody could ask them.
sweep_totals: Final = sa.Table(
    "sweep_totals",
    metadata,
    sa.Column("outcome", sa.Text(), primary_key=True),
    sa.Column("total", sa.BigInteger(), nullable=False),
    sa.Column("changed_at", MOMENT, nullable=False),
)
