"""Presign requests with the credentials of an aioboto3 session, by `core.sigv4`.

Nothing is sent to the bucket. Only fetching credentials may do I/O, and that is shared: one refresh
is in flight however many callers wait for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import aioboto3

from app.core.object_url import BucketAddress
from app.core.sigv4 import (
    Credentials,
    Method,
    UrlSigner,
    check_expires_in,
    presign_post,
    presign_url,
)
from app.logs.log import get_logger
from app.single_flight import SingleFlight

_log: Final = get_logger("signer")

# botocore's own advisory window: temporary credentials are renewed this long before they end.
REFRESH_BEFORE = timedelta(minutes=15)
# While the old credentials still work, a refresh that brought nothing better is not repeated
# sooner (metadata services hand out the same credentials until shortly before their end) ...
RETRY_AFTER = timedelta(seconds=30)
# ... and callers wait for a slow one no longer than this, in seconds.
WAIT_SECONDS = 2.0


class CredentialsUnavailable(Exception):
    """There are no credentials to sign with, or they have ended and no new ones came."""


@dataclass(frozen=True, slots=True)
class Presigned:
    """A URL, the headers to send with it as they are, and when it ends (UTC)."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """A form's target, its fields in sending order (the file comes last), its end (UTC)."""

    url: str
    fields: dict[str, str]
    expires_at: datetime


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Signer:
    """Presigns requests with the credentials of an aioboto3 session.

    Every method that signs takes `expires_in` in seconds and shortens it to the rest of the
    credentials' life; `expires_at` in the answer is the true end. Each raises
    CredentialsUnavailable, and UnsignableValue for arguments that cannot be signed.
    """

    def __init__(
        self, session: aioboto3.Session, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._session = session
        self._clock = clock
        self._source: Any = None  # botocore's credentials object, which knows how to refresh
        self._held: Credentials | None = None
        self._refreshing = SingleFlight()
        self._wait_until = 0.0  # on the event loop's clock
        self._retry_at = datetime.min.replace(tzinfo=UTC)
        # One for each window, by which app.files.links remembers the URLs.
        self._steady_signer = lru_cache(maxsize=64)(UrlSigner)

    async def credentials(self) -> Credentials:
        """Credentials that are valid now, refreshed if they end within 15 minutes.

        Raises CredentialsUnavailable.
        """
        return await self._credentials(self._now())

    async def presign(
        self,
        method: Method,
        address: BucketAddress,
        key: str,
        *,
        expires_in: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Presigned:
        """Presign one request, as `app.core.sigv4.presign_url` does."""
        now, credentials, expires_in = await self._prepare(expires_in)
        url = presign_url(
            method,
            address,
            key,
            credentials=credentials,
            now=now,
            expires_in=expires_in,
            headers=headers,
            query=query,
        )
        return Presigned(url, dict(headers or {}), now + timedelta(seconds=expires_in))

    async def link_signer(
        self,
        address: BucketAddress,
        *,
        expires_in: int,
        window: int = 0,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> tuple[UrlSigner, datetime]:
        """Presigns the GET (or HEAD) of keys, for many in a row; and the end of its links (UTC).
        Stores refuse a link that is used with another method than the signed one.

        With a `window` (seconds) the time of signing is floored to it, counted from the Unix epoch,
        and `expires_in` lengthened by it: inside one window every replica with the same credentials
        gives the same URL for the same object, which browsers and CDNs can cache, and each URL
        lives for at least `expires_in`. The two together are at most 604,800 s. The signer itself
        is the same object, too.
        """
        now, credentials, expires_in = await self._prepare(expires_in, window)
        ends = now + timedelta(seconds=expires_in)
        make = self._steady_signer if window else UrlSigner
        return make(address, credentials, now=now, expires_in=expires_in, method=method), ends

    async def presign_parts(
        self,
        address: BucketAddress,
        key: str,
        upload_id: str,
        parts: Iterable[tuple[int, int | None]],
        *,
        expires_in: int,
    ) -> tuple[list[str], datetime]:
        """Presign the PUT of each `(part number, size)`, in order; and the end of all (UTC).

        The size in bytes is signed as the Content-Length, unless it is None.
        """
        now, credentials, expires_in = await self._prepare(expires_in)
        signers: dict[int | None, UrlSigner] = {}
        urls = []
        for number, size in parts:
            signer = signers.get(size)
            if signer is None:
                headers = None if size is None else {"content-length": str(size)}
                signer = signers[size] = UrlSigner(
                    address,
                    credentials,
                    now=now,
                    expires_in=expires_in,
                    method="PUT",
                    headers=headers,
                )
            urls.append(signer.url(key, {"partNumber": str(number), "uploadId": upload_id}))
        return urls, now + timedelta(seconds=expires_in)

    async def presign_post(
        self,
        address: BucketAddress,
        key: str,
        *,
        expires_in: int,
        fields: Mapping[str, str],
        size_range: tuple[int, int],
    ) -> PresignedPost:
        """Presign one POST upload, as `app.core.sigv4.presign_post` does."""
        now, credentials, expires_in = await self._prepare(expires_in)
        url, form = presign_post(
            address,
            key,
            credentials=credentials,
            now=now,
            expires_in=expires_in,
            fields=fields,
            size_range=size_range,
        )
        return PresignedPost(url, form, now + timedelta(seconds=expires_in))

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    async def _prepare(self, expires_in: int, window: int = 0) -> tuple[datetime, Credentials, int]:
        """The time to sign at, the credentials, and how many seconds of `expires_in` they live."""
        now = self._now()
        credentials = await self._credentials(now)
        if window:
            now -= timedelta(seconds=int(now.timestamp()) % window)
        expires_in += window
        check_expires_in(expires_in)
        if credentials.expires_at is not None:
            expires_in = min(expires_in, int((credentials.expires_at - now).total_seconds()))
        return now, credentials, expires_in

    async def _credentials(self, now: datetime) -> Credentials:
        held = self._held
        if held is not None and (held.expires_at is None or now < held.expires_at - REFRESH_BEFORE):
            return held
        loop = asyncio.get_running_loop()
        task = self._refreshing.shared("credentials")
        if task is None:
            if held is not None and _is_alive(held, now) and now < self._retry_at:
                return held
            self._retry_at = now + RETRY_AFTER
            self._wait_until = loop.time() + WAIT_SECONDS
            task = self._refreshing.share("credentials", self._fetch)
        timeout = None
        if held is not None and _is_alive(held, now):
            timeout = max(0.0, self._wait_until - loop.time())
        await asyncio.wait({task}, timeout=timeout)
        held = self._held
        if held is not None and _is_alive(held, now):
            return held
        raise CredentialsUnavailable(
            "no valid S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or check "
            "the profile or the role that this process runs with"
        ) from (None if task.cancelled() else task.result())

    async def _fetch(self) -> Exception | None:
        """Renew the credentials. Failures are returned: a task nobody awaits must not raise."""
        try:
            if self._source is None:
                self._source = await self._session.get_credentials()
            if self._source is None:
                return None
            frozen = await self._source.get_frozen_credentials()
            # botocore has no public name for it. No await in between: the two belong together.
            ends: datetime | None = getattr(self._source, "_expiry_time", None)
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
