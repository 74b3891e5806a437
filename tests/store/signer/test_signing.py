"""The signer gives what `core.sigv4` gives, with a true end."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core import sigv4
from app.core.object_url import UnsignableValue, bucket_address
from app.store.signer import Presigned, PresignedPost, Signer, utc_now
from tests.store.signer.steps import (
    ADDRESS,
    NOW,
    SECOND,
    Clock,
    Provider,
    Sign,
    chained,
    every_kind,
    keyed,
    sign_post,
    signed_expiry,
    steady,
)


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
    links, ends = await static.link_signer(ADDRESS, expires_in=60)
    for key, query in (("a.png", None), ("b.png", {"versionId": "1"})):
        assert Presigned(links.url(key, query), {}, ends) == await static.presign(
            "GET", ADDRESS, key, expires_in=60, query=query
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


def test_utc_now_is_aware() -> None:
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("window", [1, 60, 900, 86_400])
async def test_links_are_the_same_inside_a_window(window: int, clock: Clock) -> None:
    first = datetime.fromtimestamp(NOW.timestamp() // window * window, UTC)
    links = []
    for replica, moment in enumerate((0.0, window / 2, window - 0.001, window)):
        clock.now = first + timedelta(seconds=moment)
        session = keyed()
        links.append(await steady(chained(session, clock), expires_in=3600, window=window))
        # Each lives for as long as was asked, at least, and its end is the one that S3 sees.
        left = links[replica].expires_at - clock.now
        assert timedelta(seconds=3600) <= left <= timedelta(seconds=3600 + window)
        assert links[replica].expires_at == signed_expiry(links[replica])
    assert links[0] == links[1] == links[2] != links[3]


async def test_a_steady_link_ends_with_its_credentials(clock: Clock) -> None:
    provider = Provider(clock, timedelta(minutes=50))
    signer = chained(provider, clock)
    ends = clock.now + timedelta(minutes=50)
    link = await steady(signer, expires_in=3600, window=900)
    clock.now += timedelta(seconds=5)
    assert await steady(signer, expires_in=3600, window=900) == link
    assert ends - timedelta(seconds=1) < link.expires_at <= ends


async def test_a_window_has_one_signer_which_signs_as_a_new_one(static: Signer) -> None:
    elsewhere = bucket_address("https://store.example.com", "another", "us-east-1")
    seen = set()
    for _ in range(3):
        for address in (ADDRESS, elsewhere):
            for expires_in, window in ((60, 30), (60, 60), (100, 30)):
                links, ends = await static.link_signer(
                    address, expires_in=expires_in, window=window
                )
                seen.add(links)
                anew = sigv4.UrlSigner(
                    address,
                    sigv4.Credentials("key", "secret"),
                    now=ends - timedelta(seconds=expires_in + window),
                    expires_in=expires_in + window,
                )
                assert links.url("a", {"versionId": "1"}) == anew.url("a", {"versionId": "1"})
    assert len(seen) == 2 * 3
    # Without a window there is nothing to remember.
    one, _ = await static.link_signer(ADDRESS, expires_in=60)
    other, _ = await static.link_signer(ADDRESS, expires_in=60)
    assert one is not other


async def test_a_windows_signer_ends_with_its_window_and_its_credentials(clock: Clock) -> None:
    signer = chained(Provider(clock, timedelta(minutes=50)), clock)
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    made = []
    # The credentials are renewed from 12:49 on, a quarter of an hour before their end.
    for minute in (14, 48, 50, 59, 60, 61):
        clock.now = hour + timedelta(minutes=minute)
        links, _ = await signer.link_signer(ADDRESS, expires_in=60, window=3600)
        made.append(links)
    assert made[0] is made[1] is not made[2] is made[3] is not made[4] is made[5]
    urls = [links.url("a") for links in made]
    assert ["key1" in url for url in urls] == [True, True, False, False, False, False]
    assert urls[3] != urls[4]


async def test_a_windows_signer_does_not_sign_for_a_clock_that_was_set_back(
    static: Signer, clock: Clock
) -> None:
    ends = []
    for minutes in (0, -30):
        clock.now = NOW + timedelta(minutes=minutes)
        ends.append((await static.link_signer(ADDRESS, expires_in=60, window=900))[1])
    # A store takes nothing that was signed later than it is.
    assert ends[0] - ends[1] == timedelta(minutes=30)


async def test_few_windows_signers_are_kept(static: Signer) -> None:
    for number in range(200):
        address = bucket_address("https://store.example.com", f"bucket-{number}", "us-east-1")
        await static.link_signer(address, expires_in=60, window=900)
    assert len(static._steady) <= 64


async def test_a_window_does_not_lengthen_a_link_beyond_seven_days(static: Signer) -> None:
    assert await steady(static, expires_in=604_800 - 900, window=900)
    with pytest.raises(UnsignableValue):
        await steady(static, expires_in=604_800, window=900)
