"""The signer's credentials: whose they are, and how often they are refreshed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.core import sigv4
from app.core.object_url import UnsignableValue
from app.store import credentials as chains
from app.store.credentials import CredentialChain, CredentialsUnavailable
from app.store.session import new_session
from app.store.signer import Signer
from tests.store.signer.steps import (
    NOW,
    SECOND,
    Clock,
    Provider,
    Sign,
    chained,
    every_kind,
    keyed,
    sign_url,
    signed_expiry,
)


async def test_static_credentials_are_asked_for_once() -> None:
    class Session:
        asked = 0
        wrapped = keyed("secret", "token")

        async def get_credentials(self) -> Any:
            self.asked += 1
            return await self.wrapped.get_credentials()

    session = Session()
    chain = CredentialChain(lambda: session)  # type: ignore[arg-type,return-value]
    signer = Signer(chain)
    first = await chain.current()
    assert first == sigv4.Credentials("key", "secret", "token")
    for _ in range(100):
        await sign_url(signer)
        assert await chain.current() is first
    assert session.asked == 1


async def test_static_credentials_need_no_other_task(static: Signer) -> None:
    await sign_url(static)
    call = sign_url(static)
    with pytest.raises(StopIteration):  # done at the first step: it never gave up its turn
        call.send(None)


async def test_environment_is_part_of_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    credentials = await CredentialChain(new_session).current()
    assert credentials == sigv4.Credentials("environment-key", "secret", "token")


async def test_no_credentials_says_what_to_do() -> None:
    class Empty:
        calls = 0

        async def get_credentials(self) -> None:
            self.calls += 1

    session = Empty()
    signer = chained(session)
    for _ in range(2):  # the absence is not remembered
        with pytest.raises(CredentialsUnavailable, match=r"AWS_ACCESS_KEY_ID.*profile.*role"):
            await sign_url(signer)
    assert session.calls == 2


async def test_unusable_credentials_are_unavailable() -> None:
    session = keyed("secret\n")
    with pytest.raises(CredentialsUnavailable) as caught:
        await sign_url(chained(session))
    assert isinstance(caught.value.__cause__, UnsignableValue)


@every_kind
async def test_expiry_is_clamped_to_the_credentials_life(
    sign: Sign, refreshing: Signer, provider: Provider, clock: Clock
) -> None:
    provider.lifetime = timedelta(minutes=30)
    signed = await sign(refreshing, 3600)
    # Half a second short of 30 minutes from the truncated clock's view: whole seconds, rounded
    # down, never past the credentials.
    assert signed.expires_at == signed_expiry(signed)
    assert signed.expires_at == (NOW + provider.lifetime).replace(microsecond=0)
    clock.now += timedelta(minutes=10)
    assert (await sign(refreshing, 3600)).expires_at == signed.expires_at
    assert (await sign(refreshing, 60)).expires_at == SECOND + timedelta(minutes=11)


async def test_a_hundred_callers_share_one_refresh(
    refreshing: Signer, provider: Provider, clock: Clock
) -> None:
    for refreshes in (1, 2):
        provider.gate.clear()
        callers = [asyncio.ensure_future(sign_url(refreshing)) for _ in range(100)]
        await asyncio.sleep(0.01)
        assert not any(caller.done() for caller in callers)
        provider.gate.set()
        urls = {(await caller).url for caller in callers}
        assert provider.calls == refreshes
        assert len(urls) == 1
        assert f"X-Amz-Credential=key{refreshes}%2F" in urls.pop()
        clock.now += timedelta(hours=2)  # long expired


async def test_refresh_waits_until_15_minutes_before_the_end(
    refreshing: Signer, provider: Provider, clock: Clock
) -> None:
    await sign_url(refreshing)
    clock.now += timedelta(minutes=44, seconds=59)
    await sign_url(refreshing)
    assert provider.calls == 1
    clock.now += timedelta(seconds=2)
    assert "key2" in (await sign_url(refreshing)).url
    assert provider.calls == 2


async def test_a_cancelled_caller_does_not_cancel_the_refresh(
    refreshing: Signer, provider: Provider
) -> None:
    provider.gate.clear()
    first, second = (asyncio.ensure_future(sign_url(refreshing)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    provider.gate.set()
    assert "key1" in (await second).url
    assert provider.calls == 1


async def test_a_failed_first_refresh_is_shared_named_and_forgotten(
    refreshing: Signer, provider: Provider
) -> None:
    provider.failure = ConnectionError("no route to the metadata service")
    answers = await asyncio.gather(
        *[sign_url(refreshing) for _ in range(100)], return_exceptions=True
    )
    assert provider.calls == 1
    for answer in answers:
        assert isinstance(answer, CredentialsUnavailable)
        assert answer.__cause__ is provider.failure
    provider.failure = None
    assert "key2" in (await sign_url(refreshing)).url


async def test_valid_credentials_outlive_failing_refreshes(
    refreshing: Signer,
    provider: Provider,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await sign_url(refreshing)
    provider.failure = ConnectionError("no route to the metadata service")
    clock.now += timedelta(minutes=51)  # in the last ten minutes botocore itself raises
    for _ in range(5):
        signed = await sign_url(refreshing)
        assert "key1" in signed.url
        assert signed.expires_at == SECOND + timedelta(hours=1)
    assert provider.calls == 2  # a failure is not repeated at once ...
    assert "credentials_not_refreshed" in caplog.text
    clock.now += chains.RETRY_AFTER
    await sign_url(refreshing)
    assert provider.calls == 3  # ... but before long
    clock.now += timedelta(minutes=8, seconds=29.5)  # less than a second is left
    with pytest.raises(CredentialsUnavailable):
        await sign_url(refreshing)
    provider.failure = None
    assert "key5" in (await sign_url(refreshing)).url


async def test_a_slow_refresh_does_not_hold_up_valid_credentials(
    refreshing: Signer, provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "WAIT_SECONDS", 0.05)
    await sign_url(refreshing)
    clock.now += timedelta(minutes=50)
    provider.gate.clear()
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*[sign_url(refreshing) for _ in range(100)])
        assert all("key1" in answer.url for answer in answers)
        assert "key1" in (await sign_url(refreshing)).url
        provider.gate.set()
        for _ in range(1000):
            if "key2" in (await sign_url(refreshing)).url:
                break
            await asyncio.sleep(0.01)
        assert "key2" in (await sign_url(refreshing)).url
    assert provider.calls == 2


async def test_same_credentials_again_are_not_asked_for_at_every_call(
    refreshing: Signer, provider: Provider, clock: Clock
) -> None:
    """Metadata services hand out the same credentials until shortly before they end."""
    provider.lifetime = timedelta(minutes=12)
    for _ in range(10):
        await sign_url(refreshing)
    assert provider.calls == 1
    clock.now += chains.RETRY_AFTER
    await sign_url(refreshing)
    assert provider.calls == 2
