"""Resources that web process, worker and command line share: opened once, closed in order."""

import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import UUID

from botocore.exceptions import ProfileNotFound

from app.core.cursor import decode_cursor, encode_cursor
from app.core.destination import Destination
from app.core.expiring import Expiring
from app.core.principal import Principal
from app.db.connections import Database
from app.db.events import Floor
from app.db.ids import row_id
from app.db.inserts import Inserts
from app.db.lookups import Lookups
from app.db.wake import Wake, waking
from app.errors import ConfigurationError, InvalidCursor
from app.models.files import File
from app.runtime.background import Background
from app.runtime.daily import Daily
from app.runtime.rate_limits import RateLimits
from app.settings.model import Settings
from app.store.client import Buckets, open_buckets
from app.store.credentials import CredentialChain, FixedKeys, KeySource
from app.store.objects import ObjectHandle
from app.store.signer import Signer, utc_now

if TYPE_CHECKING:
    from app.jwt.tokens import WebTokens
    from app.store.session import Session

# On Heroku 30 seconds lie between SIGTERM and SIGKILL, of which requests may take 20.
_DRAIN_SECONDS: Final = 5


class _Listed(Protocol):
    @property
    def id(self) -> UUID: ...


_Row = TypeVar("_Row", bound=_Listed)

# Names of a profile in the environment, as botocore reads them.
_PROFILE: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
# Entries that are remembered at most.
_KNOWN_TOKENS: Final = 10_000
_LARGE_COUNTS: Final = 1000


def _random_bytes() -> Iterator[bytes]:
    """Eight at a time. Each call of the kernel takes as long as the rest of an id."""
    while True:
        pool = os.urandom(512)
        for start in range(0, len(pool), 8):
            yield pool[start : start + 8]


@dataclass(frozen=True, slots=True)
class Resources:
    """Open connections and the settings they were opened with."""

    settings: Settings
    db: Database
    inserts: Inserts
    lookups: Lookups
    # Of events: it wakes who waits for them; and which have their positions.
    wake: Wake
    sequenced: Floor
    credentials: CredentialChain
    buckets: Buckets
    signer: Signer
    background: Background
    web_tokens: "WebTokens | None"
    # Tokens that were verified lately, by their SHA-256.
    known_tokens: Expiring[bytes, Principal]
    # Counts of searches that found very many files lately, by caller and search.
    large_counts: Expiring[Hashable, int]
    # Store, bucket and name of the seals that hold, as they were read lately.
    proven_seals: Expiring[None, frozenset[tuple[str, str, str]]]
    rate_limits: RateLimits
    daily: Daily
    cursor_secret: bytes
    grant_secret: bytes | None
    # Of which those of webhooks are derived.
    webhook_secret: bytes | None
    clock: Callable[[], datetime]
    _random: Iterator[bytes] = field(default_factory=_random_bytes, repr=False)

    def bucket_of(self, file: File) -> ObjectHandle:
        """The file's object, through the destination that has its bucket now."""
        return self.object_at(self.settings.destination_of(file.destination, file.bucket), file.key)

    def object_at(self, destination: Destination, key: str) -> ObjectHandle:
        """The object at a key of the destination's bucket."""
        return ObjectHandle(self.buckets, destination, key)

    def cut_page(self, scope: str, rows: list[_Row], limit: int) -> tuple[list[_Row], str | None]:
        """Up to `limit` of these rows, and the cursor of the page after them, for lists of this
        scope alone; None unless there are more rows.
        """
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], self.cursor_at(scope, rows[limit - 1].id)

    def cursor_at(self, scope: str, last: UUID) -> str:
        """The cursor of the page behind this id, for lists of this scope alone."""
        return encode_cursor(self.cursor_secret, scope, last)

    def read_cursor(self, scope: str, cursor: str) -> UUID:
        """The id that the page before ended with. Raises InvalidCursor."""
        try:
            return decode_cursor(self.cursor_secret, scope, cursor)
        except ValueError:
            raise InvalidCursor(
                "This cursor is not one of this list's; start again without a cursor."
            ) from None

    def new_id(self, now: datetime) -> UUID:
        """A UUIDv7 of that moment."""
        return row_id(now, next(self._random))


@asynccontextmanager
async def open_resources(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[Resources]:
    """Open everything that the settings name. Nothing is asked of database or bucket yet."""
    credentials, cursors = open_credentials(settings, clock), b"claimcheck cursor"
    async with AsyncExitStack() as stack:
        db = Database(settings)
        stack.push_async_callback(db.close)
        wake = await stack.enter_async_context(waking(db))
        daily = Daily(db, clock, on=settings.admin)
        stack.push_async_callback(daily.close)
        rate_limits = RateLimits(settings)
        stack.push_async_callback(rate_limits.close)
        web_tokens = _web_tokens(settings, clock)
        if web_tokens is not None:
            stack.push_async_callback(web_tokens.close)
        buckets = await stack.enter_async_context(
            open_buckets(credentials, settings.every_destination())
        )
        background = Background()
        stack.push_async_callback(background.drain, _DRAIN_SECONDS)
        yield Resources(
            settings=settings,
            db=db,
            inserts=Inserts(db, settings.quota),
            lookups=Lookups(db),
            wake=wake,
            sequenced=Floor(),
            credentials=credentials,
            buckets=buckets,
            signer=Signer(credentials, clock=clock),
            background=background,
            web_tokens=web_tokens,
            known_tokens=Expiring(_KNOWN_TOKENS),
            large_counts=Expiring(_LARGE_COUNTS),
            proven_seals=Expiring(1),
            rate_limits=rate_limits,
            daily=daily,
            cursor_secret=_secret(settings, cursors) or _secret_of_database(settings, cursors),
            grant_secret=_secret(settings, b"claimcheck grant"),
            webhook_secret=_secret(settings, b"claimcheck webhook"),
            clock=clock,
        )


def _web_tokens(settings: Settings, clock: Callable[[], datetime]) -> "WebTokens | None":
    if settings.jwt is None:
        return None
    # Loaded late: joserfc and its cryptography take 10 MiB.
    from app.jwt.tokens import WebTokens

    return WebTokens(settings.jwt, clock)


def open_session(settings: Settings) -> "Session":
    """Keys from the settings, else botocore's own chain: profile, container, instance role.

    Raises ConfigurationError where AWS_PROFILE names no profile.
    """
    # Loaded late, with its library.
    from app.store.session import new_session

    key, secret, token = _keys(settings)
    try:
        return new_session(
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            region_name=settings.aws_s3_region_name,
        )
    except ProfileNotFound as error:
        raise ConfigurationError(f"AWS_PROFILE: {error}") from None


def open_credentials(settings: Settings, clock: Callable[[], datetime]) -> CredentialChain:
    """The credentials that `open_session` finds. Raises ConfigurationError as it does."""
    find: Callable[[], KeySource] = partial(open_session, settings)
    key, secret, token = _keys(settings)
    if any(map(os.environ.get, _PROFILE)):
        find()  # so that a wrong name is told of at the start
    elif key and secret:
        find = partial(FixedKeys, key, secret, token)
    return CredentialChain(find, expires_at=settings.credentials_expire_at, clock=clock)


def _keys(settings: Settings) -> tuple[str | None, str | None, str | None]:
    """Access key, secret key and session token of the settings."""
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return (
        settings.aws_access_key_id,
        secret.get_secret_value() if secret else None,
        token.get_secret_value() if token else None,
    )


def _secret(settings: Settings, purpose: bytes) -> bytes | None:
    """A secret of its own for each purpose, from CLAIMCHECK_SECRET_KEY; None without that."""
    if settings.secret_key is None:
        return None
    return hmac.digest(settings.secret_key.get_secret_value().encode(), purpose, hashlib.sha256)


def _secret_of_database(settings: Settings, purpose: bytes) -> bytes:
    """One secret on every replica, from the database's URL.

    When its password changes, clients with an older cursor are told to start again. Whoever has a
    cursor may try passwords on it offline, so each try is made as slow as a start is. Good enough
    for cursors, but not for grants: everybody who sees a page may try keys on its grants, and a
    database's password may be short.
    """
    assert settings.database_url is not None
    # 32 MiB and about 0.1 s; the salt cannot be a random one, for every replica has to know it.
    return _slow_digest(settings.database_url.get_secret_value().encode(), purpose)


@lru_cache(maxsize=8)
def _slow_digest(secret: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(secret, salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without an offset is taken to be in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
