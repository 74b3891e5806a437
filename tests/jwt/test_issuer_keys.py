"""The issuer's keys: how they are had, kept and replaced."""

import asyncio
import json
import time
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from app.jwt import issuer_keys
from app.jwt.issuer_keys import LIFE, PAUSE, parse_keys
from app.jwt.tokens import WebTokens
from tests.jwt.steps import forged, status
from tests.support.issuer import Issuer, rsa_key
from tests.support.service import Clock, prepared, running
from tests.support.steps import slug


async def test_a_token_is_verified_once(
    client: httpx.AsyncClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token()
    assert await status(client, token) == 200

    async def unwanted(*_: object) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr(WebTokens, "verify", unwanted)
    assert await status(client, token) == 200
    # Only that very token.
    response = await client.get("/v1/files", headers={"Authorization": f"Bearer {token}x"})
    assert (response.status_code, slug(response)) == (500, "internal-error")


async def test_no_longer_than_it_lives(
    client: httpx.AsyncClient, issuer: Issuer, clock: Clock
) -> None:
    token = issuer.token(exp=int(time.time()) + 100)
    assert await status(client, token) == 200
    clock.ahead = timedelta(seconds=101)
    assert await status(client, token) == 200  # verified again, within the leeway
    clock.ahead = timedelta(seconds=131)
    assert await status(client, token) == 401


async def test_a_key_that_was_rotated_out_ends_with_the_keys_life(
    client: httpx.AsyncClient, issuer: Issuer, clock: Clock
) -> None:
    old = issuer.token(exp=int(time.time()) + 10_000)
    assert await status(client, old) == 200
    issuer.keys = ["two"]
    assert await status(client, old) == 200
    new = issuer.token(kid="two", exp=int(time.time()) + 10_000)
    assert await status(client, new) == 200  # unknown, so the keys were fetched at once
    assert issuer.fetches == 2
    clock.ahead = LIFE + timedelta(seconds=1)
    # The first one sets the fetch off and does not wait for it.
    for _ in range(3000):
        if await status(client, old) == 401:
            break
        await asyncio.sleep(0.01)
    assert await status(client, old) == 401
    assert await status(client, new) == 200


async def test_unknown_keys_do_not_make_it_flood_the_issuer(
    client: httpx.AsyncClient, issuer: Issuer, clock: Clock
) -> None:
    clock.stop()
    assert await status(client, issuer.token()) == 200
    flood = [
        jwt.encode({"alg": "RS256", "kid": f"{n}"}, issuer.claims(), rsa_key("stranger"))
        for n in range(50)
    ]
    for _ in range(2):
        answers = await asyncio.gather(*(status(client, token) for token in flood))
        assert set(answers) == {401}
    assert issuer.fetches == 2
    clock.ahead = PAUSE + timedelta(seconds=1)
    assert set(await asyncio.gather(*(status(client, token) for token in flood))) == {401}
    assert issuer.fetches == 3
    # One that is refused for its algorithm asks the issuer nothing.
    clock.ahead += PAUSE + timedelta(seconds=1)
    assert await status(client, forged({"alg": "HS256", "kid": "new"}, issuer.claims())) == 401
    assert issuer.fetches == 3


async def test_one_fetch_is_in_flight(client: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.gate.clear()
    waiting = [asyncio.create_task(status(client, issuer.token(jti=f"{n}"))) for n in range(20)]
    await issuer.asked.wait()
    # A caller who goes away does not take the others' fetch along.
    waiting[0].cancel()
    issuer.gate.set()
    assert set(await asyncio.gather(*waiting[1:])) == {200}
    assert issuer.fetches == 1


async def test_old_keys_stay_while_the_issuer_is_down(
    client: httpx.AsyncClient,
    issuer: Issuer,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await status(client, issuer.token()) == 200
    issuer.status = 500
    for hours in (1, 2, 3):
        clock.ahead = timedelta(hours=hours)
        late = issuer.token(exp=int(time.time()) + 20_000, jti=f"{hours}")
        assert await status(client, late) == 200
        assert await status(client, issuer.token(kid="new", exp=int(time.time()) + 20_000)) == 401
    assert issuer.fetches > 1
    assert "it answered 500" in caplog.text
    issuer.status = 200
    issuer.keys = ["new"]
    clock.ahead += PAUSE + timedelta(seconds=1)
    assert await status(client, issuer.token(kid="new", exp=int(time.time()) + 20_000)) == 200


async def test_without_any_keys_it_says_that_the_issuer_is_unavailable(
    client: httpx.AsyncClient, issuer: Issuer, clock: Clock
) -> None:
    clock.stop()  # for it is asked again after some seconds
    issuer.status = 503
    for _ in range(3):
        response = await client.get("/v1/files", headers=issuer.bearer())
        assert (response.status_code, slug(response)) == (503, "issuer-unavailable")
        assert int(response.headers["retry-after"]) > 0
    assert issuer.fetches == 1
    issuer.status = 200
    clock.ahead = PAUSE
    assert await status(client, issuer.token(exp=int(time.time()) + 600)) == 200


async def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(
    client: httpx.AsyncClient, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = int(time.time()) + 10_000
    assert await status(client, issuer.token(exp=long)) == 200
    monkeypatch.setattr(issuer_keys, "FETCH_SECONDS", 0.2)
    issuer.gate.clear()
    clock.ahead = LIFE + timedelta(seconds=1)
    known = [await status(client, issuer.token(exp=long, jti=f"{n}")) for n in range(20)]
    assert set(known) == {200}
    assert await status(client, issuer.token(kid="new", exp=long)) == 401
    assert issuer.fetches <= 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "not a JWK set"),
        (b"[]", "not a JWK set"),
        (b'{"keys": {}}', "no key"),
        (b'{"keys": []}', "no key"),
        (b'{"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "ML-DSA"}, 7, null]}', "no key"),
        (b'{"keys": [{"kty": "RSA", "n": "AA"}]}', "no key"),
        (b'{"keys": [' + b" " * issuer_keys.MAX_BYTES, "more than"),
    ],
)
async def test_an_issuer_that_talks_nonsense(
    client: httpx.AsyncClient,
    issuer: Issuer,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    why: str,
) -> None:
    issuer.body = answer
    response = await client.get("/v1/files", headers=issuer.bearer())
    assert (response.status_code, slug(response)) == (503, "issuer-unavailable")
    assert why in caplog.text


async def test_a_redirect_is_not_followed(
    environ: dict[str, str], issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = await prepared(
        environ | issuer.environ(CLAIMCHECK_JWT__JWKS_URL=f"{issuer.url}/moved")
    )
    async with running(settings) as client:
        response = await client.get("/v1/files", headers=issuer.bearer())
    assert response.status_code == 503
    assert "it answered 302" in caplog.text
    assert issuer.fetches == 0


def test_keys_are_parsed_one_by_one() -> None:
    good = rsa_key("one").as_dict(private=False)
    plain = {name: value for name, value in good.items() if name != "kid"}
    other = ECKey.generate_key("P-256", {"kid": "ec"}).as_dict(private=False)
    broken = [{"kty": "RSA", "kid": "x", "n": "A", "e": "AQAB"}, "x", {"kty": "oct", "k": "aaaa"}]
    encryption = good | {"kid": "enc", "use": "enc"}
    leaked = rsa_key("two").as_dict(private=True)
    wrong_id = good | {"kid": 7}
    body = json.dumps({"keys": [*broken, good, encryption, other, leaked, wrong_id]}).encode()
    assert set(parse_keys(body)) == {"one", "ec"}
    assert set(parse_keys(json.dumps({"keys": [*broken, good]}).encode())) == {"one", None}
    assert set(parse_keys(json.dumps({"keys": [plain]}).encode())) == {None}


_members = st.sampled_from(["keys", "kty", "kid", "n", "e", "use"])
_json = st.recursive(
    st.none() | st.text(max_size=4) | st.sampled_from(["RSA", "EC", "OKP", "AQAB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_members, inner, max_size=4),
    max_leaves=9,
)


@given(st.binary(max_size=100) | _json.map(lambda value: json.dumps(value).encode()))
def test_no_answer_breaks_the_parser(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        parse_keys(body)
