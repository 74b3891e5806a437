"""Rate limits: of callers, and of strangers by their addresses, here and over all replicas."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import api_keys
from app.core.principal import Scope
from app.errors import ConfigurationError
from app.runtime import rate_limits
from app.runtime.rate_limits import Windows
from app.settings.model import load_settings
from tests.support.service import UNKNOWN_ID, bearer, key_for, log_lines, prepared, running
from tests.support.steps import minted, slug, stored
from tests.support.stores import free_port, redis

ORIGIN = "https://www.example.com"
WRONG = bearer(f"claimcheck_key_{'a' * 43}")


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_RATE_LIMIT": "3/hour",
        "CLAIMCHECK_CORS_ORIGINS": ORIGIN,
        "CLAIMCHECK_TRUSTED_PROXIES": "1",
    }


@asynccontextmanager
async def served_as(environ: dict[str, str], **key: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service, and a client with a key of its own for everything."""
    settings = await prepared(environ)
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *Scope, **key))
        yield client


async def statuses(client: httpx.AsyncClient, count: int, **sent: object) -> list[int]:
    return [(await client.get("/v1/files", **sent)).status_code for _ in range(count)]  # type: ignore[arg-type]


async def test_a_caller_is_refused_past_the_limit_and_nobody_else(environ: dict[str, str]) -> None:
    async with served_as(environ) as client:
        left = []
        for _ in range(3):
            answer = await client.get("/v1/files", headers={"Origin": ORIGIN})
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=3600'
            left.append(answer.headers["ratelimit"].partition(";t=")[0])
        assert left == ['"requests";r=2', '"requests";r=1', '"requests";r=0']
        exposed = answer.headers["access-control-expose-headers"]
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed.split(", "))

        refused = await client.get("/v1/files")
        assert (refused.status_code, slug(refused)) == (429, "too-many-requests")
        assert 3000 < int(refused.headers["retry-after"]) <= 3600
        assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
        # Another credential, were it of the same owner, and those who need none.
        other = await key_for(load_settings(environ), *Scope)
        assert await statuses(client, 1, headers=other) == [200]
        del client.headers["Authorization"]
        for path in ("/livez", "/readyz", "/docs", "/", "/openapi.json", "/static/uploader.js"):
            for _ in range(4):
                answer = await client.get(path)
                assert answer.status_code == 200, path
            assert "ratelimit" not in answer.headers


async def test_each_upload_session_has_a_limit_of_its_own(environ: dict[str, str]) -> None:
    async with served_as(environ) as client:
        tokens = [(await minted(client))["token"] for _ in range(2)]
        for token in tokens:
            answers = [
                await client.get("/v1/destinations", headers=bearer(token)) for _ in range(4)
            ]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


async def test_batches_count_by_what_they_hold(environ: dict[str, str]) -> None:
    environ["CLAIMCHECK_RATE_LIMIT"] = "10 per minute"

    def batch(count: int) -> dict[str, object]:
        return {"uploads": [{"destination": "files", "filename": "a", "size": 1}] * count}

    async with served_as(environ) as client:
        first = await client.post("/v1/uploads/batch", json=batch(6))
        assert first.headers["ratelimit"].startswith('"requests";r=4')
        # A hundred links are what a page of a list has.
        links = await client.post("/v1/files/presign", json={"ids": [UNKNOWN_ID] * 101})
        assert links.headers["ratelimit"].startswith('"requests";r=2')
        refused = await client.post("/v1/uploads/batch", json=batch(3))
        assert (refused.status_code, slug(refused)) == (429, "too-many-requests")
        listed = await key_for(load_settings(environ), *Scope)
        assert len((await client.get("/v1/files", headers=listed)).json()["items"]) == 0


async def test_strangers_are_counted_by_their_addresses(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who was known before is known for longer than a busy machine takes for what follows.
    monkeypatch.setattr(api_keys, "STALENESS", timedelta(minutes=5))
    del environ["CLAIMCHECK_RATE_LIMIT"]
    environ["CLAIMCHECK_RATE_LIMIT_FAILURES"] = "4/minute"
    async with served_as(environ) as client:
        file = await stored(client, web)
        key = {"Authorization": client.headers.pop("Authorization")}
        here, there = {"X-Forwarded-For": "2001:db8::1"}, {"X-Forwarded-For": "2001:db8:0:1::1"}
        assert await statuses(client, 2, headers=here) == [401, 401]
        assert await statuses(client, 1, headers=here | WRONG) == [401]
        spoiled = f"{file['content_url'][:-1]}~"
        assert (await client.get(spoiled, headers=here)).status_code == 403
        # Also from another address of the same subscriber, whatever they write to the left of it.
        also = {"X-Forwarded-For": "192.0.2.1, 2001:db8::ffff"}
        for headers in (here, also, also | WRONG):
            refused = await client.get("/v1/files", headers=headers)
            assert (refused.status_code, slug(refused)) == (429, "too-many-requests")
            assert refused.headers["ratelimit-policy"] == '"failures";q=4;w=60'
            assert 0 < int(refused.headers["retry-after"]) <= 60
        assert (await client.get(spoiled, headers=also)).status_code == 429
        # Who was known before is served still; nobody new is looked up for that address.
        assert await statuses(client, 1, headers=here | key) == [200]
        assert (await client.get(file["content_url"], headers=here)).status_code == 302
        new = await key_for(load_settings(environ), *Scope)
        assert await statuses(client, 1, headers=here | new) == [429]
        assert await statuses(client, 1, headers=there | new) == [200]
        assert await statuses(client, 1, headers=there) == [401]
        assert await statuses(client, 1, headers={"X-Forwarded-For": "nobody"}) == [401]


async def test_nothing_is_limited_unless_it_is_set(environ: dict[str, str]) -> None:
    del environ["CLAIMCHECK_RATE_LIMIT"]
    async with served_as(environ) as client:
        answer = await client.get("/v1/files")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
        assert set(await statuses(client, 20, headers=WRONG)) == {401}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RATE_LIMIT", "600"),
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "5/fortnight"),
        ("RATE_LIMIT", "5/minute; 1/second"),
        ("RATE_LIMIT_FAILURES", "-1/minute"),
        ("RATE_LIMIT_STORAGE_URL", "memcached://127.0.0.1"),
    ],
)
def test_a_limit_that_is_none_stops_the_start(
    environ: dict[str, str], setting: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"CLAIMCHECK_{setting}: "):
        load_settings(environ | {f"CLAIMCHECK_{setting}": value})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_ends_and_takes_nothing_with_it() -> None:
    clock = Clock()
    windows = Windows(clock)
    assert windows.add("a", 60, 1) == (1, 60)
    clock.now = 59
    assert windows.add("a", 60, 2) == (3, 1)
    assert windows.add("b", 60, 1) == (1, 60)
    clock.now = 60
    assert windows.add("a", 60, 1) == (1, 60)
    assert windows.add("b", 60, 1) == (2, 59)
    clock.now = 1000
    windows.add("c", 60, 1)
    assert len(windows) == 1


def test_no_window_is_longer_than_it_is() -> None:
    clock = Clock()
    clock.now = 1023.9
    assert clock.now + 60 - clock.now > 60
    assert Windows(clock).add("a", 60, 1) == (1, 60)


def test_windows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_WINDOWS", 10)
    windows = Windows(Clock())
    for number in range(100):
        windows.add(f"{number}", 60, 1)
    assert len(windows) == 10
    assert windows.add("99", 60, 1)[0] == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from([0, 1, 7]))))
def test_windows_count_what_they_should(steps: list[tuple[str, int, int]]) -> None:
    clock = Clock()
    windows = Windows(clock)
    started: dict[str, float] = {}
    counted: dict[str, int] = {}
    for key, amount, later in steps:
        clock.now += later
        if key not in started or clock.now >= started[key] + 10:
            started[key], counted[key] = clock.now, 0
        counted[key] += amount
        assert windows.add(key, 10, amount) == (counted[key], started[key] + 10 - clock.now)


# --- In Redis


@pytest.fixture
def redis_url() -> Iterator[str]:
    if reason := redis.available():
        pytest.skip(reason)
    with redis.start_redis() as url:
        yield url


async def test_replicas_count_together_exactly(environ: dict[str, str], redis_url: str) -> None:
    environ |= {
        "CLAIMCHECK_RATE_LIMIT": "25/hour",
        "CLAIMCHECK_RATE_LIMIT_FAILURES": "5/hour",
        "CLAIMCHECK_RATE_LIMIT_STORAGE_URL": redis_url,
    }
    settings = load_settings(environ)
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(running(settings)) for _ in range(2)]
        key = await key_for(settings, *Scope)
        answers = await asyncio.gather(
            *(replicas[n % 2].get("/v1/files", headers=key) for n in range(60))
        )
        assert sorted(a.status_code for a in answers) == [200] * 25 + [429] * 35
        for answer in answers:
            assert answer.headers["ratelimit-policy"] == '"requests";q=25;w=3600'
        refused = next(a for a in answers if a.status_code == 429)
        assert 3000 < int(refused.headers["retry-after"]) <= 3600
        failed = await asyncio.gather(*(replicas[n % 2].get("/v1/files") for n in range(12)))
        assert sorted(a.status_code for a in failed) == [401] * 5 + [429] * 7
        assert await statuses(replicas[0], 1, headers=WRONG) == [429]


async def test_without_its_redis_the_service_counts_alone(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := redis.available():
        pytest.skip(reason)
    port = free_port()
    environ["CLAIMCHECK_RATE_LIMIT_STORAGE_URL"] = f"redis://:hunter2@127.0.0.1:{port}/0"
    caplog.set_level(logging.INFO, "claimcheck")
    monkeypatch.setattr(rate_limits, "REDIS_PAUSE", 600.0)
    async with served_as(environ) as client:
        assert await statuses(client, 4) == [200, 200, 200, 429]
        [line] = log_lines(caplog, "rate_limits")  # said once, and left alone for a while
        assert (line["event"], line["level"]) == ("counting_alone", "warning")
        assert "hunter2" not in caplog.text
        monkeypatch.setattr(rate_limits, "REDIS_PAUSE", 0.0)
        with redis.start_redis(port):
            assert await statuses(client, 4) == [200, 200, 200, 429]
        assert await statuses(client, 1) == [429]  # what it had counted by itself
