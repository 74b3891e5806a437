"""The signer service: whose credentials, how often they are refreshed, and when links end."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aioboto3
import aiobotocore.credentials
import pytest

from app import signer as signer_module
from app.core import sigv4
from app.core.object_url import UnsignableValue, bucket_address
from app.signer import CredentialsUnavailable, Presigned, PresignedPost, Signer, utc_now

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(clock: Clock) -> Provider:
    return Provider(clock)


@pytest.fixture
def static(clock: Clock) -> Signer:
    session = aioboto3.Session(aws_access_key_id="key", aws_secret_access_key="secret")
    return Signer(session, clock=clock)


@pytest.fixture
def refreshing(provider: Provider, clock: Clock) -> Signer:
    return Signer(provider, clock=clock)


async def sign_url(signer: Signer, expires_in: int = 3600) -> Presigned:
    return await signer.presign("GET", ADDRESS, "a.png", expires_in=expires_in)


async def steady(signer: Signer, **options: int) -> Presigned:
    sign, ends = await signer.link_signer(ADDRESS, **options)
    return Presigned(sign("a.png", ()), {}, ends)


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


async def test_presign_gives_core_s_url_with_headers_and_end(static: Signer) -> None:
    headers = {"Content-Type": "image/png", "If-None-Match": "*"}
    query = {"partNumber": "1", "uploadId": "u"}
    signed = await static.presign(
        "PUT", ADDRESS, "a.png", expires_in=60, headers=headers, query=query
    )
    assert signed == Presigned(
        sigv4.presign_url(
            "PUT",
            ADDRESS,
            "a.png",
            credentials=sigv4.Credentials("key", "secret"),
            now=SECOND,
            expires_in=60,
            headers=headers,
            query=query,
        ),
        headers,
        SECOND + timedelta(seconds=60),
    )
    assert signed.headers is not headers


async def test_a_link_is_what_a_single_call_gives(static: Signer) -> None:
    sign, ends = await static.link_signer(ADDRESS, expires_in=60)
    for key, query in (("a.png", ()), ("b.png", (("versionId", "1"),))):
        assert Presigned(sign(key, query), {}, ends) == await static.presign(
            "GET", ADDRESS, key, expires_in=60, query=dict(query)
        )


async def test_presign_post_gives_core_s_form(static: Signer) -> None:
    url, fields = sigv4.presign_post(
        ADDRESS,
        "a.png",
        credentials=sigv4.Credentials("key", "secret"),
        now=SECOND,
        expires_in=60,
        fields={"Content-Type": "a"},
        size_range=(1, 2),
    )
    assert await sign_post(static, 60) == PresignedPost(url, fields, SECOND + timedelta(seconds=60))


@every_kind
async def test_the_clock_is_read_once_and_the_end_is_true(
    sign: Sign, static: Signer, clock: Clock
) -> None:
    signed = await sign(static, 900)
    assert clock.readings == 1
    assert signed.expires_at == signed_expiry(signed) == SECOND + timedelta(seconds=900)


@every_kind
@pytest.mark.parametrize("expires_in", [0, -1, 604_801, 1.5])
async def test_bad_expiry_is_refused_not_clamped(
    sign: Sign, expires_in: int, static: Signer, refreshing: Signer
) -> None:
    for signer in (static, refreshing):
        with pytest.raises(UnsignableValue, match=r"^expiry: "):
            await sign(signer, expires_in)


async def test_static_credentials_are_asked_for_once() -> None:
    class Session:
        asked = 0
        wrapped = aioboto3.Session(
            aws_access_key_id="key", aws_secret_access_key="secret", aws_session_token="token"
        )

        async def get_credentials(self) -> Any:
            self.asked += 1
            return await self.wrapped.get_credentials()

    session = Session()
    signer = Signer(session)
    first = await signer.credentials()
    assert first == sigv4.Credentials("key", "secret", "token")
    for _ in range(100):
        await sign_url(signer)
        assert await signer.credentials() is first
    assert session.asked == 1


async def test_static_credentials_need_no_other_task(static: Signer) -> None:
    await static.credentials()
    call = static.credentials()
    with pytest.raises(StopIteration):  # done at the first step: it never gave up its turn
        call.send(None)


async def test_environment_is_part_of_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    credentials = await Signer(aioboto3.Session()).credentials()
    assert credentials == sigv4.Credentials("environment-key", "secret", "token")


async def test_no_credentials_says_what_to_do() -> None:
    class Empty:
        calls = 0

        async def get_credentials(self) -> None:
            self.calls += 1

    session = Empty()
    signer = Signer(session)
    for _ in range(2):  # the absence is not remembered
        with pytest.raises(CredentialsUnavailable, match=r"AWS_ACCESS_KEY_ID.*profile.*role"):
            await sign_url(signer)
    assert session.calls == 2


async def test_unusable_credentials_are_unavailable() -> None:
    session = aioboto3.Session(aws_access_key_id="key", aws_secret_access_key="secret\n")
    with pytest.raises(CredentialsUnavailable) as caught:
        await sign_url(Signer(session))
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
    clock.now += signer_module.RETRY_AFTER
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
    monkeypatch.setattr(signer_module, "PATIENCE", 0.05)
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
    clock.now += signer_module.RETRY_AFTER
    await sign_url(refreshing)
    assert provider.calls == 2


def test_utc_now_is_aware() -> None:
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("window", [1, 60, 900, 86_400])
async def test_links_are_the_same_inside_a_window(window: int, clock: Clock) -> None:
    first = datetime.fromtimestamp(NOW.timestamp() // window * window, UTC)
    links = []
    for replica, moment in enumerate((0.0, window / 2, window - 0.001, window)):
        clock.now = first + timedelta(seconds=moment)
        session = aioboto3.Session(aws_access_key_id="key", aws_secret_access_key="secret")
        links.append(await steady(Signer(session, clock=clock), expires_in=3600, window=window))
        # Each lives for as long as was asked, at least, and its end is the one that S3 sees.
        left = links[replica].expires_at - clock.now
        assert timedelta(seconds=3600) <= left <= timedelta(seconds=3600 + window)
        assert links[replica].expires_at == signed_expiry(links[replica])
    assert links[0] == links[1] == links[2] != links[3]


async def test_a_steady_link_ends_with_its_credentials(clock: Clock) -> None:
    provider = Provider(clock, timedelta(minutes=50))
    signer = Signer(provider, clock=clock)
    ends = clock.now + timedelta(minutes=50)
    link = await steady(signer, expires_in=3600, window=900)
    clock.now += timedelta(seconds=5)
    assert await steady(signer, expires_in=3600, window=900) == link
    assert ends - timedelta(seconds=1) < link.expires_at <= ends


async def test_a_remembered_link_is_what_signing_it_anew_gives(
    static: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[str] = []
    url = sigv4.UrlSigner.url

    def noted(self: sigv4.UrlSigner, key: str, query: Mapping[str, str] | None = None) -> str:
        signed.append(url(self, key, query))
        return signed[-1]

    monkeypatch.setattr(sigv4.UrlSigner, "url", noted)
    elsewhere = bucket_address("https://store.example.com", "another", "us-east-1")
    requests = [(key, query) for key in ("a", "b") for query in ((), (("versionId", "1"),))]
    for _ in range(3):
        for address in (ADDRESS, elsewhere):
            for expires_in, window in ((60, 30), (60, 60), (100, 30)):
                sign, ends = await static.link_signer(address, expires_in=expires_in, window=window)
                made = ends - timedelta(seconds=expires_in + window)
                anew = sigv4.UrlSigner(
                    address,
                    sigv4.Credentials("key", "secret"),
                    now=made,
                    expires_in=expires_in + window,
                )
                for key, query in requests:
                    assert sign(key, query) == url(anew, key, dict(query))
    assert len(signed) == len(set(signed)) == 2 * 3 * 4
    # Without a window there is nothing to remember.
    for _ in range(2):
        sign, _ = await static.link_signer(ADDRESS, expires_in=60)
        for key, query in requests:
            sign(key, query)
    assert len(signed) == 2 * 3 * 4 + 2 * 4


async def test_a_window_does_not_lengthen_a_link_beyond_seven_days(static: Signer) -> None:
    assert await steady(static, expires_in=604_800 - 900, window=900)
    with pytest.raises(UnsignableValue):
        await steady(static, expires_in=604_800, window=900)
