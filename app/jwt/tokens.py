"""JSON Web Tokens (RFC 7519), verified as RFC 8725 asks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry, extract_compact

from app.core.jwt_settings import JwtSettings
from app.core.principal import OUR_OWNERS, Principal, is_name
from app.errors import InvalidToken
from app.jwt.issuer_keys import IssuerKeys, PublicKey

# A shared secret is never withdrawn: this only bounds how long a token is remembered.
SECRET_LIFE: Final = timedelta(minutes=10)


class WebTokens:
    """Checks the tokens of one issuer."""

    def __init__(self, settings: JwtSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        # Private header members are passed over (RFC 7515 section 4), `crit` is obeyed.
        self._registry = JWSRegistry(algorithms=settings.accepted, strict_check_header=False)
        self._secret: OctKey | None = None
        self._issuer: IssuerKeys | None = None
        if settings.secret is not None:
            self._secret = OctKey.import_key(settings.secret.get_secret_value())
        else:
            assert settings.jwks_url is not None
            self._issuer = IssuerKeys(settings.jwks_url, clock)

    async def verify(self, token: str) -> tuple[Principal, datetime]:
        """The token's subject, and until when the token need not be verified again.

        Raises InvalidToken and IssuerUnavailable.
        """
        key = self._secret or await self._public_key(token)
        try:
            found = jwt.decode(token, key, registry=self._registry)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidToken("The token is not one that its issuer signed.") from None
        claims, now = found.claims, self._clock()
        self._check_type(found.header.get("typ"))
        self._check(claims, now)
        believed = self._issuer.trusted_until if self._issuer else now + SECRET_LIFE
        return self._principal(claims), min(believed, _moment(claims["exp"]))

    async def close(self) -> None:
        if self._issuer is not None:
            await self._issuer.close()

    async def _public_key(self, token: str) -> PublicKey:
        assert self._issuer is not None
        try:
            header: dict[str, Any] = extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError, TypeError, RecursionError):
            raise InvalidToken("The token is neither one of ours nor a JSON Web Token.") from None
        # Before the key is looked for: no keys are fetched for a token that is refused anyway.
        if header.get("alg") not in self._settings.accepted:
            accepted = ", ".join(self._settings.accepted)
            raise InvalidToken(f"The token must be signed with {accepted}.")
        key_id = header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise InvalidToken("The token's kid is not a string.")
        key = await self._issuer.find(key_id)
        if key is None:
            raise InvalidToken("The token was signed with a key that its issuer does not publish.")
        return key

    def _check_type(self, typ: object) -> None:
        """A media type, of which `application/` may be left out (RFC 7515, section 4.1.9)."""
        wanted = self._settings.typ
        if wanted is not None and _media_type(typ) != _media_type(wanted):
            raise InvalidToken(f"The token's typ must be {wanted}.")

    def _check(self, claims: dict[str, Any], now: datetime) -> None:
        wanted = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=self._settings.leeway,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "values": list(self._settings.audience)},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            wanted.validate(claims)
        except ExpiredTokenError:
            raise InvalidToken("The token has expired.") from None
        except MissingClaimError as error:
            raise InvalidToken(f"The token is incomplete. {error.description}") from None
        except InvalidClaimError as error:
            raise InvalidToken(f"The token is not for this service. {error.description}") from None

    def _principal(self, claims: dict[str, Any]) -> Principal:
        tenant = ""
        if self._settings.tenant_claim is not None:
            tenant = claims.get(self._settings.tenant_claim, "")
            if not is_name(tenant):
                raise InvalidToken(f"The token's claim {self._settings.tenant_claim} names nobody.")
        if not is_name(claims["sub"]):
            raise InvalidToken("The token's claim sub names nobody.")
        if claims["sub"].startswith(OUR_OWNERS):
            raise InvalidToken(f"The token's claim sub begins with {' or '.join(OUR_OWNERS)}.")
        return Principal(
            owner=claims["sub"],
            tenant=tenant,
            scopes=_scopes(claims.get(self._settings.scope_claim)),
            claims=claims,
            credential="jwt",
            ends_at=_moment(claims["exp"]),
        )


def _media_type(typ: object) -> str:
    return str(typ).lower().removeprefix("application/")


def _scopes(value: object) -> frozenset[str]:
    """Words in one string (RFC 8693 section 4.2), or a list of them as some issuers have it."""
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list):
        return frozenset(word for word in value if isinstance(word, str))
    return frozenset()


def _moment(numeric_date: float) -> datetime:
    try:
        return datetime.fromtimestamp(numeric_date, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
