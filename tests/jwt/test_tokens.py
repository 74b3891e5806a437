"""JSON Web Tokens: which are believed."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.core.jwt_settings import JwtSettings
from app.errors import InvalidToken
from app.jwt.tokens import WebTokens
from app.store.signer import utc_now
from tests.jwt.steps import SECRET, base64url, forged, status
from tests.support.issuer import AUDIENCE, Issuer, rsa_key
from tests.support.steps import slug


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
    changed = base64url(json.dumps(issuer.claims(sub="root")).encode())
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
        jwt.encode({"alg": "RS256", "kid": "one"}, issuer.claims(pad="x" * 16384), rsa_key("one")),
        "e" * 16385,
        "e30." * 1000,
        base64url(b"[" * 3000) + ".e30.e30",
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


@pytest.mark.parametrize(
    ("typ", "is_taken"),
    [
        ("at+jwt", True),
        ("AT+JWT", True),
        ("application/at+jwt", True),
        ("JWT", False),
        (None, False),
    ],
)
async def test_a_type_that_is_asked_for(typ: str | None, is_taken: bool) -> None:
    """So that an ID token is no access token (RFC 9068, section 4)."""
    key = OctKey.import_key(SECRET)
    header = {"alg": "HS256"} | ({} if typ is None else {"typ": typ})
    claims = {"iss": "https://id", "aud": "us", "sub": "ann", "exp": int(time.time()) + 60}
    token = jwt.encode(header, claims, key)
    for wanted in (None, "at+jwt"):
        asked = JwtSettings(issuer="https://id", audience=("us",), secret=SECRET, typ=wanted)
        tokens = WebTokens(asked, utc_now)
        if wanted is None or is_taken:
            assert (await tokens.verify(token))[0].owner == "ann"
        else:
            with pytest.raises(InvalidToken, match="typ must be at\\+jwt"):
                await tokens.verify(token)
