"""JSON Web Tokens: which are believed, and how the issuer's keys are had and kept."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from app.core.jwt_settings import JwtSettings
from app.errors import InvalidToken
from app.jwt import issuer_keys
from app.jwt.issuer_keys import LIFE, PAUSE, parse_keys
from app.jwt.tokens import WebTokens
from app.store.signer import utc_now
from tests.support.issuer import AUDIENCE, Issuer, rsa_key, running_issuer
from tests.support.service import Clock, prepared, running
from tests.support.steps import slug

SECRET = "a shared secret of quite enough bytes"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(
    environ: dict[str, str], issuer: Issuer, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    settings = await prepared(environ | issuer.environ())
    async with running(settings, clock=clock) as client:
        yield client


async def status(client: httpx.AsyncClient, token: str) -> int:
    response = await client.get("/v1/files", headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 401:
        assert slug(response) == "invalid-token"
        assert response.headers["www-authenticate"] == (
            'Bearer realm="claimcheck", error="invalid_token"'
        )
        assert len(token) < 30 or token not in response.text
    return response.status_code


def forged(
    header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes] = lambda _: b""
) -> str:
    """A token that no library would make."""
    parts = [_base64(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, _base64(sign(".".join(parts).encode()))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def rsa_with(key: RSAKey) -> Callable[[bytes], bytes]:
    return lambda message: key.private_key.sign(message, PKCS1v15(), SHA256())


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


async def test_a_good_token_is_let_in(client: httpx.AsyncClient, issuer: Issuer) -> None:
    for good in (
        issuer.token(),
        issuer.token(kid=None),
        issuer.token(aud=["other", AUDIENCE]),
        issuer.token(scope=["files:read"]),
        issuer.token(exp=time.time() + 60.5),
        issuer.token(exp=10**30),
        issuer.token(nbf=int(time.time()) + 10, iat=int(time.time()) + 10),  # within the leeway
        issuer.token(exp=int(time.time()) - 10),
    ):
        assert await status(client, good) == 200
    assert issuer.fetches == 1


async def test_what_is_wrong_in_the_claims_is_refused(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    now = int(time.time())
    for wrong in (
        {"exp": now - 31},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": now + 60},
        {"iat": now + 60},
        {"iss": None},
        {"iss": "https://other.example.com"},
        {"iss": issuer.url + "/"},
        {"iss": [issuer.url]},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": {"claimcheck": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\x00b"},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"sub": "staff:ann"},
        {"sub": "key:shop"},
    ):
        assert await status(client, issuer.token(**wrong)) == 401, wrong


async def test_what_is_wrong_in_the_signature_is_refused(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    good, mine = issuer.token(), issuer.claims()
    head, claims, signature = good.split(".")
    changed = _base64(json.dumps(issuer.claims(sub="root")).encode())
    key = rsa_key("one")
    unpinned = RSAKey.import_key(key.as_pem(private=True))
    tokens = [
        f"{head}.{changed}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{claims}.{signature}.{signature}",
        f"{head}.{claims}.{signature[::-1]}",
        # Signed by somebody else, under the name of the issuer's key.
        jwt.encode({"alg": "RS256", "kid": "one"}, mine, rsa_key("stranger")),
        # The issuer's own key, but another algorithm than the pinned one.
        jwt.encode({"alg": "RS512", "kid": "one"}, mine, unpinned, ["RS512"]),
        # No signature at all, in the spellings that were ever taken for one.
        *(forged({"alg": alg, "kid": "one"}, mine) for alg in ("none", "None", "NONE", "", None)),
        forged({"kid": "one"}, mine),
        # Keys that the token itself brings or names (RFC 8725 section 3.10).
        jwt.encode(
            {"alg": "RS256", "kid": "two", "jwk": rsa_key("two").as_dict(private=False)},
            mine,
            rsa_key("two"),
        ),
        jwt.encode(
            {"alg": "RS256", "kid": "two", "jku": "https://evil.example/jwks"}, mine, rsa_key("two")
        ),
        # What must be understood, and is not (RFC 7515 section 4.1.11).
        *(
            forged({"alg": "RS256", "kid": "one", "x": 1, "crit": crit}, mine, rsa_with(key))
            for crit in (["x"], ["exp"])
        ),
    ]
    # HMAC with what everybody knows, the issuer's public key, in whatever form.
    public = key.as_dict(private=False)
    for secret in (
        key.as_pem(private=False),
        key.as_pem(private=False).strip(),
        key.as_der(private=False),
        json.dumps(public).encode(),
        str(public["n"]).encode(),
        b"",
    ):
        tokens += [
            forged({"alg": algorithm, "kid": "one"}, mine, hmac_with(secret))
            for algorithm in ("HS256", "RS256")
        ]
    for token in tokens:
        assert await status(client, token) == 401, token
    assert await status(client, good) == 200
    # The very way in which they were forged is right.
    assert await status(client, forged({"alg": "RS256"}, mine, rsa_with(key))) == 200


async def test_what_is_no_token_is_refused(client: httpx.AsyncClient, issuer: Issuer) -> None:
    for wrong in (
        "a",
        "a.b.c",
        "..",
        "." * 100,
        forged([], {}),  # type: ignore[arg-type]
        forged({"alg": "RS256", "kid": ["one"]}, issuer.claims()),
        forged({"alg": "RS256", "kid": {"a": 1}}, issuer.claims()),
        forged({"alg": ["RS256"]}, issuer.claims()),
        forged({"alg": "RS256"} | {"x" * 20: "y" * 600}, issuer.claims()),
        jwt.encode({"alg": "RS256", "kid": "one"}, issuer.claims(pad="x" * 8192), rsa_key("one")),
        "e" * 8193,
        "e30." * 1000,
        _base64(b"[" * 3000) + ".e30.e30",
    ):
        assert await status(client, wrong) == 401, wrong[:80]
    for header in ("", "Bearer", "Bearer ", "Basic dTpw", f"Token {issuer.token()}", "Bearer a b"):
        response = await client.get("/v1/files", headers={"Authorization": header})
        assert (response.status_code, slug(response)) == (401, "invalid-token"), header
    response = await client.get("/v1/files")
    assert (response.status_code, slug(response)) == (401, "credential-required")
    assert response.headers["www-authenticate"] == 'Bearer realm="claimcheck"'
    assert response.headers["cache-control"] == "no-store"
    # The scheme's name is case-insensitive (RFC 9110 section 11.1).
    response = await client.get("/v1/files", headers={"Authorization": f"bearer {issuer.token()}"})
    assert response.status_code == 200


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=60))
async def test_no_header_breaks_it(client: httpx.AsyncClient, text: str) -> None:
    for value in (text, f"Bearer {text}", f"Bearer {text}.{text}.{text}"):
        response = await client.get("/v1/files", headers={"Authorization": value.strip()})
        assert response.status_code == 401


# --- The issuer's keys


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


# --- A shared secret, and claims by other names


async def verified(token: str, **settings: Any) -> Any:
    given = {"issuer": "https://id.example", "audience": "claimcheck", **settings}
    tokens = WebTokens(JwtSettings.model_validate(given), utc_now)
    try:
        principal, _ = await tokens.verify(token)
    finally:
        await tokens.close()
    return principal


def shared(algorithm: str = "HS256", secret: str = SECRET, **changes: Any) -> str:
    claims = {
        "iss": "https://id.example",
        "aud": "claimcheck",
        "sub": "ann",
        "exp": int(time.time()) + 60,
    } | changes
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret), [algorithm])


async def test_a_shared_secret() -> None:
    assert (await verified(shared(), secret=SECRET)).owner == "ann"
    for token in (
        shared(secret=SECRET + "x"),
        shared("HS512"),
        forged({"alg": "none"}, {"sub": "ann"}),
        shared(exp=int(time.time()) - 60),
        jwt.encode({"alg": "RS256"}, {"sub": "ann"}, rsa_key("one")),
    ):
        with pytest.raises(InvalidToken):
            await verified(token, secret=SECRET)
    assert await verified(shared("HS512"), secret=SECRET, algorithms=["HS256", "HS512"])


async def test_scopes_and_tenants_by_other_names() -> None:
    def scopes(value: object, claim: str = "scp") -> Any:
        return verified(shared(**{claim: value}), secret=SECRET, scope_claim=claim)

    for value, expected in (
        ("files:read  uploads:write", {"files:read", "uploads:write"}),
        (["files:read", 7, "x"], {"files:read", "x"}),
        ("", set()),
        (None, set()),
        (7, set()),
        ({"files:read": True}, set()),
    ):
        assert (await scopes(value)).scopes == expected
    assert (await scopes("admin", "https://example.com/scopes")).scopes == {"admin"}
    assert (await verified(shared(scp="admin"), secret=SECRET)).scopes == set()
    principal = await verified(shared(org="acme"), secret=SECRET, tenant_claim="org")
    assert (principal.owner, principal.tenant) == ("ann", "acme")
    # A tenant is told apart by a claim that each token must have then, or one would be nobody's.
    for wrong in ({}, {"org": ""}, {"org": None}, {"org": 7}, {"org": "a\x00"}, {"org": ["acme"]}):
        with pytest.raises(InvalidToken):
            await verified(shared(**wrong), secret=SECRET, tenant_claim="org")
    assert (await verified(shared(org="acme"), secret=SECRET)).tenant == ""
