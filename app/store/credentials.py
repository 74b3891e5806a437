"""The service's S3 credentials, for what it signs and for its own calls alike.

They are fetched from an aioboto3 session, renewed before their end, and given up as soon as the
store says that their session token has ended. One refresh is in flight however many callers wait.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from app.core.sigv4 import Credentials
from app.errors import SigningUnavailable
from app.logs.log import get_logger
from app.single_flight import SingleFlight

_log: Final = get_logger("credentials")

# botocore's own advisory window: temporary credentials are renewed this long before they end.
REFRESH_BEFORE = timedelta(minutes=15)
# A refresh that brought nothing better is not repeated sooner: metadata services hand out the same
# credentials until shortly before their end ...
RETRY_AFTER = timedelta(seconds=30)
# ... and callers with credentials that still work wait for a slow one no longer, in seconds.
WAIT_SECONDS = 2.0


class CredentialsUnavailable(Exception):
    """There are no credentials to sign with, or they have ended and no new ones came.

    `ended` tells the second from the first.
    """

    def __init__(self, message: str, *, ended: bool = False) -> None:
        super().__init__(message)
        self.ended = ended

    def as_problem(self) -> SigningUnavailable:
        """The problem that clients are answered with."""
        detail = "The service has no valid S3 credentials now, so it can sign nothing; "
        if self.ended:
            detail = (
                "The service's S3 credentials have ended and no others have come, so it can sign "
                "nothing. Whoever runs it must renew them; "
            )
        return SigningUnavailable(f"{detail}try again in a moment.", retry_after=10)


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class KeySource(Protocol):
    """Finds credentials, as a session of aioboto3 does."""

    async def get_credentials(self) -> Any:
        """Credentials that know how to be renewed, None where there are none."""


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that are given, which no library has to find: a source, its credentials, and these as
    they are now.
    """

    access_key: str
    secret_key: str
    token: str | None

    async def get_credentials(self) -> "FixedKeys":
        return self

    async def get_frozen_credentials(self) -> "FixedKeys":
        return self


class CredentialChain:
    """The credentials in use, and where others come from.

    `open_session` opens the source that finds them, in a thread, since it may load its library. It
    is called when credentials are needed first, and again once the store says that what was found
    has ended. `expires_at` is the end of a token that comes without one.
    """

    def __init__(
        self,
        open_session: Callable[[], KeySource],
        *,
        expires_at: datetime | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._open_session = open_session
        self._session: KeySource | None = None
        self._expires_at = expires_at
        self._clock = clock
        self._source: Any = None  # botocore's credentials object, which knows how to refresh
        self._held: Credentials | None = None
        # The access key and the token of which the store said that they have ended.
        self._ended: tuple[str, str | None] | None = None
        self._refreshing = SingleFlight()
        self._wait_until = 0.0  # on the event loop's clock
        self._retry_at = datetime.min.replace(tzinfo=UTC)
        self.is_renewed = False  # whether the source names an end, and so renews them

    @property
    def held(self) -> Credentials | None:
        """The credentials that were fetched last, whether or not they still work."""
        return self._held

    @property
    def has_unknown_end(self) -> bool:
        """Whether what is signed may end before the time that is told of it: with a session token
        whose end nobody has named.
        """
        held = self._held
        return held is not None and held.session_token is not None and held.expires_at is None

    async def current(self, now: datetime | None = None) -> Credentials:
        """Credentials that are valid now, refreshed if they end within 15 minutes.

        Raises CredentialsUnavailable.
        """
        return await self._current(now or self._clock())

    async def for_calls(self) -> Credentials:
        """As `current`; but where the store has said that these have ended and there are no others,
        those, so that it is heard when it takes them again. Raises CredentialsUnavailable.
        """
        return await self._current(self._clock(), ended_too=True)

    def refused(self, credentials: Credentials) -> None:
        """Take note that the store says that these have ended. Others are looked for at once."""
        if not self.has_ended(credentials):
            _log.error("credentials_ended", access_key=credentials.access_key)
            self._ended = credentials.access_key, credentials.session_token
            self._retry_at = datetime.min.replace(tzinfo=UTC)

    def has_ended(self, credentials: Credentials) -> bool:
        """Whether the store said of these that they have ended."""
        return (credentials.access_key, credentials.session_token) == self._ended

    def accepted(self) -> None:
        """Take note that the store takes what it said had ended."""
        _log.info("credentials_accepted_again")
        self._ended = None

    def _is_valid(self, credentials: Credentials, now: datetime) -> bool:
        return _is_alive(credentials, now) and not self.has_ended(credentials)

    async def _current(self, now: datetime, *, ended_too: bool = False) -> Credentials:
        held = self._held
        if (
            held is not None
            and (held.expires_at is None or now < held.expires_at - REFRESH_BEFORE)
            and not self.has_ended(held)
        ):
            return held
        failure = await self._refresh(now)
        held = self._held
        if held is not None and (ended_too or not self.has_ended(held)) and _is_alive(held, now):
            return held
        if held is None:
            raise CredentialsUnavailable(
                "no valid S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "check the profile or the role that this process runs with"
            ) from failure
        raise CredentialsUnavailable(
            "the S3 credentials have ended: set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_SESSION_TOKEN, or find out why the profile or the role does not renew them",
            ended=True,
        ) from failure

    async def _refresh(self, now: datetime) -> Exception | None:
        """Fetch others, unless that was tried lately; the failure, if there was one."""
        held = self._held
        valid = held is not None and self._is_valid(held, now)
        loop = asyncio.get_running_loop()
        task = self._refreshing.shared("credentials")
        if task is None:
            if now < self._retry_at and held is not None and (valid or self.has_ended(held)):
                return None
            self._retry_at = now + RETRY_AFTER
            self._wait_until = loop.time() + WAIT_SECONDS
            task = self._refreshing.share("credentials", self._fetch)
        timeout = max(0.0, self._wait_until - loop.time()) if valid else None
        await asyncio.wait({task}, timeout=timeout)
        return task.result() if task.done() and not task.cancelled() else None

    async def _fetch(self) -> Exception | None:
        """Renew the credentials. Failures are returned: a task nobody awaits must not raise."""
        try:
            if self._held is not None and self.has_ended(self._held):
                self._session = self._source = None
            if self._session is None:
                self._session = await asyncio.to_thread(self._open_session)
            if self._source is None:
                self._source = await self._session.get_credentials()
            if self._source is None:
                return None
            frozen = await self._source.get_frozen_credentials()
            # botocore has no public name for it. No await in between: the two belong together.
            ends: datetime | None = getattr(self._source, "_expiry_time", None)
            self.is_renewed = ends is not None
            if ends is None and frozen.token is not None:
                ends = self._expires_at
            self._held = Credentials(
                frozen.access_key,
                frozen.secret_key,
                frozen.token,
                None if ends is None else ends.astimezone(UTC),
            )
        except Exception as error:
            if self._held is not None:
                _log.warning("credentials_not_refreshed", exc_info=error)
            return error
        return None


def _is_alive(credentials: Credentials, now: datetime) -> bool:
    ends = credentials.expires_at
    return ends is None or ends - now >= timedelta(seconds=1)
