"""The tables of files, with the states they go through."""

import itertools
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.core.parts import Layout
from app.models.tables import BYTE_ORDER, KEY, table


class State(StrEnum):
    """Where a file is in its life."""

    PENDING = "pending"  # announced; its bytes may be on their way
    COMPLETING = "completing"  # claimed by one worker, which has the bucket join the parts
    CONFIRMED = "confirmed"  # the bucket was asked, and holds what was announced
    REJECTED = "rejected"  # the bucket holds something else; `reason` says what
    RELEASED = "released"  # gone from the API, the object stays; the row says it is no orphan
    REMOVING = "removing"  # claimed by one worker, which is deleting the object
    REMOVED = "removed"  # tombstone, until nothing signed for the key can still work


# The allowed moves; app.db.moves makes no others.
MOVES: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.COMPLETING, State.CONFIRMED, State.REJECTED, State.REMOVING}),
    # Back to pending when the bucket refused: what is missing can still be sent.
    State.COMPLETING: frozenset({State.PENDING, State.CONFIRMED, State.REJECTED}),
    State.CONFIRMED: frozenset({State.RELEASED, State.REMOVING}),
    State.REJECTED: frozenset({State.REMOVING}),
    State.RELEASED: frozenset({State.CONFIRMED}),
    State.REMOVING: frozenset({State.REMOVED}),
    State.REMOVED: frozenset(),
}


def states_before(state: State) -> list[State]:
    """The states from which a file may move to `state`."""
    return [before for before, after in MOVES.items() if state in after]


class Seal(StrEnum):
    """The reason why whoever uploaded a confirmed file cannot replace its bytes."""

    VERSION = "version"  # its links pin the version that was confirmed
    MULTIPART = "multipart"  # its parts were joined by us, and their URLs are dead since
    CONDITIONAL = "conditional"  # its URL only creates, on a store that is known to obey
    NO = "no"  # nothing, until what was signed for it expires


class File(NamedTuple):
    """A row of `files`. All moments are aware, in UTC."""

    id: Annotated[UUID, KEY]
    owner: str
    tenant: Annotated[str, {"server_default": ""}]
    # The upload session through which it came, if any.
    session_id: UUID | None
    destination: str
    bucket: str
    # In byte order, as buckets list their keys: `claimcheck reconcile` walks both at once.
    key: Annotated[str, BYTE_ORDER]
    url: str
    filename: str
    # In byte order, so that `image/*` is a range of the index whatever the database's locale is.
    content_type: Annotated[str, BYTE_ORDER]
    # The type that the contents were found to have at confirm.
    detected_type: str | None
    # None until confirm where the client did not announce one.
    size: Annotated[int | None, {"type_": sa.BigInteger()}]
    # Base64, as S3 writes it.
    checksum_sha256: str | None
    checksum_verified: Annotated[bool, {"server_default": sa.false()}]
    method: str
    state: str
    reason: str | None
    etag: str | None
    version_id: str | None
    created_at: datetime
    # The end of the last instructions that were signed for the upload.
    expires_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    # The end of the lease of whoever is completing, removing or sweeping the file; in a tombstone
    # the moment from which the sweep looks at it again. A rejected upload has one if its object is
    # to go; a confirmed file if a worker is to scan it, or to delete the object of an infected one,
    # whose `ended_at` says that it is gone.
    claimed_until: datetime | None
    # The store's name of a multipart upload, None until it is known.
    store_upload_id: str | None
    # Bytes; None where it is the client's choice, until completion.
    part_size: Annotated[int | None, {"type_": sa.BigInteger()}]
    sealed: Annotated[str, {"server_default": Seal.NO.value}]
    # How many fields of records hold the file. Kept in the row so that whoever attaches a file and
    # whoever removes it wait for each other, and so that an index can find the loose ones.
    attachments: Annotated[int, {"server_default": "0"}]
    # How many parts are being joined of an upload without a size: whoever takes over joins as many.
    part_count: int | None
    # As announced, where confirm has found another type, which is in `content_type` then. The
    # object itself is stored with the announced one.
    announced_type: str | None
    # What links say of a text by its first bytes, whatever `content_type` says: "utf-8", or "" for
    # none. None where there is nothing to say but `content_type`.
    charset: str | None
    # When the sweep looks whether the pending upload has arrived, before its instructions have
    # ended; None: it does not.
    look_at: datetime | None
    # Whether an event or the sweep has confirmed it, and neither its client nor a record has taken
    # it since: a client that confirms it then may still have it attached.
    self_confirmed: Annotated[bool, {"server_default": sa.false()}]
    # Where it lay in the folder that it was uploaded with, its own name included.
    path: str | None
    # An object of JSON, as `app.core.metadata` writes it; None for an empty one.
    metadata: str | None
    # Bytes that are reserved for it while it is pending, where its size is not announced.
    reserved: Annotated[int | None, {"type_": sa.BigInteger()}]
    # What a scanner has said of it (`app.core.scans`); None where nobody was asked.
    scan: str | None = None
    # In a line: what was found, or why it could not be scanned, or why staff have released it.
    scan_reason: str | None = None
    scanned_at: datetime | None = None
    # When the last link ends that was made before a verdict which lets none be made any more.
    links_end_at: datetime | None = None
    # What confirm has found in an image or an archive, as its JSON shows it; None where nothing
    # was asked.
    image: str | None = None
    archive: str | None = None
    # `md5`: every request to the bucket is signed with its MD5 (`app.models.part_digests` has those
    # of parts); None: none is.
    integrity: str | None = None
    # Base64, as announced of a file that goes in one request.
    checksum_md5: str | None = None
    # Whether the bucket is known to hold the bytes whose MD5s were announced.
    parts_verified: Annotated[bool, {"server_default": sa.false()}] = False
    # The request for files by which it was sent, if any.
    file_request_id: UUID | None = None

    def ending(self, moment: datetime) -> "File":
        """As `_replace(expires_at=moment)`, in half the time."""
        return File._make((*self[:_ENDS], moment, *self[_ENDS + 1 :]))

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


_ENDS: Final = File._fields.index("expires_at")


class Readable(NamedTuple):
    """The columns of a confirmed file that a link to it is made of."""

    id: UUID
    destination: str
    bucket: str
    key: str
    url: str
    filename: str
    content_type: str
    detected_type: str | None
    version_id: str | None
    announced_type: str | None
    charset: str | None
    scan: str | None


files: Final = table(
    "files",
    File,
    sa.UniqueConstraint("bucket", "key"),
    sa.CheckConstraint(
        f"state IN ({', '.join(repr(state.value) for state in State)})", name="state_known"
    ),
    sa.CheckConstraint("size >= 0", name="size_not_negative"),
    sa.CheckConstraint("attachments >= 0", name="attachments_not_negative"),
)

# What lists can be narrowed to, by name.
LISTED_BY: Final[dict[str, sa.ColumnElement[str]]] = {
    name: files.c[name] for name in ("tenant", "owner", "destination", "content_type")
} | {
    # `image` of `image/png`.
    "family": sa.func.split_part(
        files.c.content_type,
        sa.literal_column("'/'", sa.Text()),
        sa.literal_column("1", sa.Integer()),
        type_=sa.Text(),
    ),
}
# Whether a record holds it, 1 or 0.
HELD: Final = sa.func.least(files.c.attachments, sa.literal_column("1", sa.Integer()))
# A file's place in a list: the first 7 bytes of its id, a UUIDv7, which tell its time to 62 us.
# With the list's number it is as much as PostgreSQL takes for ascending numbers (16 bytes): pages
# of the index are then split behind what came last, and stay full (nbtsplitloc.c).
PLACE_BYTES: Final = 7
PLACE: Final = sa.func.substr(
    sa.func.uuid_send(files.c.id),
    sa.literal_column("1", sa.Integer()),
    sa.literal_column(str(PLACE_BYTES), sa.Integer()),
    type_=sa.LargeBinary(),
)
# The id, written so that nothing but the index with it has this order. Else, where many files are
# new since the last ANALYZE, PostgreSQL walks the primary key past all that are not wanted.
UNLISTED_ID: Final = sa.func.least(files.c.id, type_=sa.Uuid())


def list_key(
    held: sa.ColumnElement[int], values: Iterable[sa.ColumnElement[str]]
) -> sa.ColumnElement[int]:
    """The number of a list: a hash of what it is narrowed to, of values or of columns.

    Eight bytes, however long the values are, for each of the indexes in which a file is. Two lists
    may have one number: whoever walks an index compares the values as well.
    """
    key = held
    for value in values:
        key = sa.func.hashtextextended(value, key, type_=sa.BigInteger())
    return key


# Lists show confirmed files, newest first. Whatever they are narrowed to, there is an index of
# exactly that; app.db.walks walks it. Its pages are filled, for files come at the end of each list.
_LISTED = files.c.state == State.CONFIRMED.value
for _whose, _where, _kind in itertools.product(
    (["tenant"], ["tenant", "owner"]), ([], ["destination"]), ([], ["content_type"], ["family"])
):
    _names = [*_whose, *_where, *_kind]
    sa.Index(
        f"ix_files_newest_{'_'.join(_names)}",
        list_key(HELD, [LISTED_BY[name] for name in _names]),
        PLACE,
        postgresql_where=_LISTED,
        postgresql_with={"fillfactor": 100},
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
# For the sweep: uploads that were not confirmed, claims that were not finished.
sa.Index(
    "ix_files_expired", files.c.expires_at, postgresql_where=files.c.state == State.PENDING.value
)
sa.Index(
    "ix_files_looked_at",
    files.c.look_at,
    postgresql_where=sa.and_(files.c.state == State.PENDING.value, files.c.look_at.is_not(None)),
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
# Files that a worker is to scan, and infected ones whose objects are to go.
sa.Index(
    "ix_files_scans",
    files.c.claimed_until,
    postgresql_where=sa.and_(_LISTED, files.c.claimed_until.is_not(None)),
)
# Tombstones that it is time to look at again.
sa.Index(
    "ix_files_tombstones",
    files.c.claimed_until,
    postgresql_where=files.c.state == State.REMOVED.value,
)
# For whoever looks through all files of a tenant (app.db.search): by size, and what is in no list
# of the API.
sa.Index("ix_files_tenant_size", files.c.tenant, files.c.size, files.c.id, postgresql_where=_LISTED)
sa.Index(
    "ix_files_tenant_unlisted",
    files.c.tenant,
    files.c.state,
    UNLISTED_ID,
    postgresql_where=files.c.state != State.CONFIRMED.value,
)
# Of a request for files: what was sent, newest first.
sa.Index(
    "ix_files_file_request",
    files.c.file_request_id,
    files.c.id,
    postgresql_where=files.c.file_request_id.is_not(None),
)


class SweepTotal(NamedTuple):
    """A row of `sweep_totals`: what all sweeps have done since the beginning, `run` among it.

    They are processes of their own, which end before anybody could ask them.
    """

    outcome: Annotated[str, KEY]
    total: Annotated[int, {"type_": sa.BigInteger()}]
    changed_at: datetime


sweep_totals: Final = table("sweep_totals", SweepTotal)
