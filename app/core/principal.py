"""Callers and their rights. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, Field

# Owners and tenants end up in rows, in keys (hashed) and in log lines.
MAX_NAME: Final = 255

# Prefixes of owners that are no subjects of an issuer: otherwise a person whose subject is `shop`
# would own the files of the key `shop`.
KEY_OWNER: Final = "key:"
STAFF_OWNER: Final = "staff:"
OUR_OWNERS: Final = (KEY_OWNER, STAFF_OWNER)

# Kinds of credentials that have a row of ours; a Principal's `credential` is the kind, a colon and
# the row's id. The others are `jwt`, `cli` and `none`.
KEY_CREDENTIAL: Final = "key"
SESSION_CREDENTIAL: Final = "session"
REQUEST_CREDENTIAL: Final = "request"
STAFF_CREDENTIAL: Final = "staff"


class Scope(StrEnum):
    """The scopes that routes require. A destination may require others of its own as well."""

    UPLOADS_WRITE = "uploads:write"
    FILES_READ = "files:read"
    FILES_DELETE = "files:delete"
    RECORDS_READ = "records:read"
    RECORDS_WRITE = "records:write"
    FILES_ALL = "files:all"
    SESSIONS_MINT = "sessions:mint"
    REQUESTS_MANAGE = "requests:manage"
    EVENTS_READ = "events:read"
    WEBHOOKS_MANAGE = "webhooks:manage"
    QUOTAS_MANAGE = "quotas:manage"
    SCANS_WRITE = "scans:write"
    ADMIN = "admin"


SCOPE_DESCRIPTIONS: Final = MappingProxyType[str, str](
    {
        Scope.UPLOADS_WRITE: "announce, send, confirm and cancel uploads of one's own, get a "
        "link to each file that one confirms, also by confirming it again, and change their names "
        "and metadata",
        Scope.FILES_READ: "list one's own files, and get links to them",
        Scope.FILES_DELETE: "forget or delete one's own files",
        Scope.RECORDS_READ: "read one's own records, and get links to what they hold",
        Scope.RECORDS_WRITE: "put files into one's own records, and take them out",
        Scope.FILES_ALL: "with the others: act on everything of the tenant, not on one's own alone",
        Scope.SESSIONS_MINT: "make upload sessions for browsers, for any owner of the tenant",
        Scope.REQUESTS_MANAGE: "make links through which people without an account send files, see "
        "who has sent what through one's own, and close them",
        Scope.EVENTS_READ: "read what has become of one's own files and records, in order",
        Scope.WEBHOOKS_MANAGE: "make, change and end the tenant's webhooks, which tell of "
        "everybody's files, and send again what they did not take",
        Scope.QUOTAS_MANAGE: "see what all of the tenant use, and set limits of their own for them "
        "and for the tenant",
        Scope.SCANS_WRITE: "say what a virus scanner has found in one's own files, and release "
        "them from quarantine",
        Scope.ADMIN: "make, list and revoke the tenant's API keys",
    }
)
"""The rights that each scope gives, as help, forms and documents say them."""


class SessionField(NamedTuple):
    """The field of a record that an upload session's files go into; `owner` is the record's."""

    type: str
    id: str
    field: str
    owner: str


class SessionBounds(NamedTuple):
    """The limits of an upload session. Its files and bytes are counted in the database.

    `max_size` is the most bytes of one file, None: the destination's. A session that was opened by
    a request for files has its id in `file_request_id`, and that request pays for its files.
    """

    id: UUID
    destination: str
    attach_to: SessionField | None = None
    unsized: bool = False
    max_size: int | None = None
    file_request_id: UUID | None = None

    @property
    def is_link(self) -> bool:
        """Whether this is a request's link, by which a session is yet to be opened."""
        return self.id == self.file_request_id


class Identity(NamedTuple):
    """Who a caller is, told from everybody else: names are unique within a tenant alone."""

    tenant: str
    owner: str
    credential: str
    session: UUID | None


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. Their files belong to `owner` within `tenant` (empty where there are none).

    `claims` are those of a JWT, for destinations that require some. With a `session` the caller
    sees only that session's uploads. `credential` names the credential in logs, never its secret;
    it ends at `ends_at` (UTC), or by itself never.
    """

    owner: str
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, object] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    session: SessionBounds | None = None
    credential: str = "none"
    ends_at: datetime | None = None
    # Scopes that the caller has for what they are: nobody was given them, and nobody gets them.
    implied: frozenset[str] = frozenset()

    @property
    def identity(self) -> Identity:
        """Keys all that is kept for this caller alone: limits, memos, shared work, cursors."""
        session = self.session and self.session.id
        return Identity(self.tenant, self.owner, self.credential, session)

    @property
    def grantable(self) -> frozenset[str]:
        """The scopes that a key may hold which the caller makes."""
        return self.scopes - self.implied

    @property
    def sees_tenant(self) -> bool:
        """Whether the caller acts on all files of the tenant, not only on their own."""
        return Scope.FILES_ALL in self.scopes and self.session is None

    @property
    def seen_owner(self) -> str | None:
        """Whose things the caller acts on; None for everybody's in the tenant."""
        return None if self.sees_tenant else self.owner


DEV: Final = Principal(owner="dev", scopes=frozenset(Scope))
"""Everyone on this machine, with `auth = none`."""


def is_name(value: object) -> bool:
    """Whether the value can be an owner or tenant: 1 to MAX_NAME printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _check_name(value: str) -> str:
    if not is_name(value):
        raise ValueError("must be printable, with at least one character")
    return value


Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_check_name)]
"""An owner, a tenant or another name in a request."""


def missing_scopes(wanted: Iterable[str], held: frozenset[str]) -> list[str]:
    """Those of the scopes that are not held, sorted."""
    return sorted(set(wanted) - held)
