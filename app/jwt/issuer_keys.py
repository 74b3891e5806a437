"""The public keys with which an issuer of JSON Web Tokens signs: fetched, kept, fetched again."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from app.errors import IssuerUnavailable
from app.logs.log import get_logger
from app.single_flight import SingleFlight

PublicKey = RSAKey | ECKey | OKPKey

# Keys that the issuer withdrew are believed no longer than this, while it can be asked.
LIFE: Final = timedelta(minutes=10)
# After a failure, and after a token that names a key which is not there.
PAUSE: Final = timedelta(seconds=30)
# While there are no keys at all, no token can be checked: ask again sooner.
FIRST_PAUSE: Final = timedelta(seconds=2)
FETCH_SECONDS: Final = 5
MAX_BYTES: Final = 256 * 1024

_log: Final = get_logger("auth")


class IssuerKeys:
    """The keys at one JWKS URL (RFC 7517), by their ids.

    The first request that needs them waits for them. Later they are renewed beside the requests,
    by one fetch at a time, and while the issuer does not answer the old ones stay. A token that
    names an unknown key has them fetched at once, as the issuer may have a new one, but not again
    within PAUSE, whatever tokens come.
    """

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self._url = url
        self._clock = clock
        self._keys: Mapping[str | None, PublicKey] = {}
        self._fetching = SingleFlight()
        start = clock() - PAUSE
        self._next_forced = start
        self.trusted_until = start

    async def find(self, key_id: str | None) -> PublicKey | None:
        """The key of that id; without an id the only key there is. Raises IssuerUnavailable."""
        now = self._clock()
        if not self._keys:
            if now >= self.trusted_until:
                await self._fetched()
            if not self._keys:
                raise IssuerUnavailable(
                    "The issuer's keys cannot be had now, so no token of its can be checked.",
                    retry_after=5,
                )
        elif now >= self.trusted_until:
            self._fetching.share(self._url, self._fetch)
        found = self._keys.get(key_id)
        if found is None and now >= self._next_forced:
            self._next_forced = now + PAUSE
            await self._fetched()
            found = self._keys.get(key_id)
        return found

    async def close(self) -> None:
        await self._fetching.drain()

    async def _fetched(self) -> None:
        await asyncio.shield(self._fetching.share(self._url, self._fetch))

    async def _fetch(self) -> None:
        try:
            self._keys = parse_keys(await _get(self._url))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning(
                "issuer_keys_not_fetched",
                url=self._url,
                cause=type(error).__name__,
                detail=str(error),
            )
            pause = PAUSE if self._keys else FIRST_PAUSE
            self.trusted_until = self._clock() + pause
        else:
            self.trusted_until = self._clock() + LIFE


async def _get(url: str) -> bytes:
    """The body behind the URL. A redirect is a failure: what is configured is what is asked."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"it answered with more than {MAX_BYTES} bytes")
        return bytes(body)


def parse_keys(body: bytes) -> dict[str | None, PublicKey]:
    """The usable keys of a JWK set, by id; a key that is the only one also under None.

    Keys of unknown kinds are passed over (RFC 7517 section 5), and so are shared secrets, which
    should not be public. Raises ValueError where no key is left.
    """
    try:
        listed = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is not a JWK set") from None
    found: list[PublicKey] = []
    for data in listed if isinstance(listed, list) else []:
        key = _parsed(data)
        if key is not None:
            found.append(key)
    if not found:
        raise ValueError("it has no key that can be used")
    keys: dict[str | None, PublicKey] = {key.kid: key for key in found if key.kid is not None}
    if len(found) == 1:
        keys[None] = found[0]
    return keys


def _parsed(data: Any) -> PublicKey | None:
    if not isinstance(data, dict) or data.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    if data.get("use", "sig") != "sig" or not isinstance(data.get("kid", ""), str):
        return None
    try:
        key = JWKRegistry.import_key(data)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if key.is_private or key.key_type == "oct" else key  # type: ignore[return-value]
