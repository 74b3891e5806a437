"""A clock, a provider of credentials, and ways to ask a signer."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiobotocore.credentials
import pytest

from app.core.object_url import bucket_address
from app.store.credentials import CredentialChain, utc_now
from app.store.session import Session, new_session
from app.store.signer import Presigned, PresignedPost, Signer

NOW = datetime(2024, 7, 1, 12, 13, 14, 567_890, tzinfo=UTC)
SECOND = NOW.replace(microsecond=0)
ADDRESS = bucket_address("https://store.example", "photos", "eu-west-1")


class Clock:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = NOW
        self.readings = 0

    def __call__(self) -> datetime:
        self.readings += 1
        return self.now


class Provider:
    """Stands where botocore's metadata service, STS or profile would: counts, delays, fails."""

    def __init__(self, clock: Clock, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.calls = 0
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def refresh(self) -> dict[str, str]:
        self.calls += 1
        call = self.calls
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {
            "access_key": f"key{call}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (self.clock.now + self.lifetime).isoformat(),
        }

    async def get_credentials(self) -> Any:
        return aiobotocore.credentials.AioDeferredRefreshableCredentials(
            self.refresh, "test", time_fetcher=lambda: self.clock.now
        )


def keyed(secret: str = "secret", token: str | None = None) -> Session:
    """A session with keys that do not end."""
    return new_session(
        aws_access_key_id="key", aws_secret_access_key=secret, aws_session_token=token
    )


def chained(session: Any, clock: Callable[[], datetime] = utc_now) -> Signer:
    """A signer with the credentials that this session finds."""
    return Signer(CredentialChain(lambda: session, clock=clock), clock=clock)


async def sign_url(signer: Signer, expires_in: int = 3600) -> Presigned:
    return await signer.presign("GET", ADDRESS, "a.png", expires_in=expires_in)


async def steady(signer: Signer, **options: int) -> Presigned:
    links, ends = await signer.link_signer(ADDRESS, **options)
    return Presigned(links.url("a.png"), {}, ends)


async def sign_many(signer: Signer, expires_in: int = 3600) -> Presigned:
    return await steady(signer, expires_in=expires_in)


async def sign_post(signer: Signer, expires_in: int = 3600) -> PresignedPost:
    return await signer.presign_post(
        ADDRESS, "a.png", expires_in=expires_in, fields={"Content-Type": "a"}, size_range=(1, 2)
    )


Sign = Callable[..., Awaitable[Presigned | PresignedPost]]
every_kind = pytest.mark.parametrize("sign", [sign_url, sign_many, sign_post])


def signed_expiry(signed: Presigned | PresignedPost) -> datetime:
    """When S3 stops honouring it, as it says itself."""
    if isinstance(signed, PresignedPost):
        policy = json.loads(b64decode(signed.fields["policy"]))
        return datetime.fromisoformat(policy["expiration"])
    query = parse_qs(urlsplit(signed.url).query)
    made = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return made + timedelta(seconds=int(query["X-Amz-Expires"][0]))
