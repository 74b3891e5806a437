"""Presign requests with the service's credentials, by `core.sigv4`.

Nothing is sent to the bucket. Only fetching credentials may do I/O.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

from app.core.object_url import BucketAddress
from app.core.sigv4 import (
    Credentials,
    Method,
    UrlSigner,
    check_expires_in,
    presign_post,
    presign_url,
)
from app.store.credentials import CredentialChain
from app.store.credentials import utc_now as utc_now
from app.turns import Turn


class Presigned(NamedTuple):
    """A URL, the headers to send with it as they are, and when it ends (UTC)."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


class PresignedPost(NamedTuple):
    """A form's target, its fields in sending order (the file comes last), its end (UTC)."""

    url: str
    fields: dict[str, str]
    expires_at: datetime


class _Steady(NamedTuple):
    """A window's signer, and when its links end; what it was made with, and for how long it is."""

    signer: UrlSigner
    ends: datetime
    credentials: Credentials
    begins: datetime
    over: datetime


# Of destinations, and of the methods of each, there are few.
_STEADY: Final = 64


# Uploads of one batch have it in common, and one takes as long to make as a hash.
@lru_cache(maxsize=16)
def _whole(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


class Signer:
    """Presigns requests with the credentials of a chain.

    Every method that signs takes `expires_in` in seconds and shortens it to the rest of the
    credentials' life; `expires_at` in the answer is the true end. Each raises
    CredentialsUnavailable, and UnsignableValue for arguments that cannot be signed.
    """

    def __init__(self, chain: CredentialChain, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._chain = chain
        self._clock = clock
        # The last window's of each, by which app.files.links remembers the URLs.
        self._steady: dict[tuple[BucketAddress, int, int, str], _Steady] = {}

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
        made_of = address, expires_in, window, method
        if window:
            known, now = self._steady.get(made_of), self._clock()
            if (
                known is not None
                and known.begins <= now < known.over
                and known.credentials == await self._chain.current(now)
            ):
                return known.signer, known.ends
        now, credentials, expires_in = await self._prepare(expires_in, window)
        ends = now + timedelta(seconds=expires_in)
        signer = UrlSigner(address, credentials, now=now, expires_in=expires_in, method=method)
        if window:
            if len(self._steady) == _STEADY:
                self._steady.clear()
            over = now + timedelta(seconds=window)
            self._steady[made_of] = _Steady(signer, ends, credentials, now, over)
        return signer, ends

    async def presign_parts(
        self,
        address: BucketAddress,
        key: str,
        upload_id: str,
        parts: Iterable[tuple[int, int | None]],
        *,
        expires_in: int,
        checksums: Iterable[str] = (),
    ) -> tuple[list[str], datetime]:
        """Presign the PUT of each `(part number, size)`, in order; and the end of all (UTC).

        The size in bytes is signed as the Content-Length, unless it is None. With `checksums` so is
        the MD5 of each, in Base64, as its Content-MD5.
        """
        now, credentials, expires_in = await self._prepare(expires_in)
        signers: dict[tuple[int | None, str | None], UrlSigner] = {}
        urls = []
        turn = Turn()
        for (number, size), checksum in zip_longest(parts, checksums):
            signer = signers.get((size, checksum))
            if signer is None:
                headers = {} if size is None else {"content-length": str(size)}
                if checksum is not None:
                    headers["content-md5"] = checksum
                signer = signers[size, checksum] = UrlSigner(
                    address,
                    credentials,
                    now=now,
                    expires_in=expires_in,
                    method="PUT",
                    headers=headers,
                )
            urls.append(signer.url(key, {"partNumber": str(number), "uploadId": upload_id}))
            await turn.over()
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
        return PresignedPost(url, form, _whole(int(now.timestamp()) + expires_in))

    def _now(self) -> datetime:
        return _whole(int(self._clock().timestamp()))

    async def _prepare(self, expires_in: int, window: int = 0) -> tuple[datetime, Credentials, int]:
        """The time to sign at, the credentials, and how many seconds of `expires_in` they live."""
        now = self._now()
        credentials = await self._chain.current(now)
        if window:
            now -= timedelta(seconds=int(now.timestamp()) % window)
        expires_in += window
        check_expires_in(expires_in)
        if credentials.expires_at is not None:
            expires_in = min(expires_in, int((credentials.expires_at - now).total_seconds()))
        return now, credentials, expires_in
