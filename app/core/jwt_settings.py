"""Settings of a JSON Web Token issuer: keys, algorithms, claims for scopes and tenant. Pure."""

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from app.core.destination import Words

# By kind of key: an RSA public key must never be taken for an HMAC secret (RFC 8725, 3.1).
_BY_PUBLIC_KEY: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
_BY_SECRET: Final = frozenset({"HS256", "HS384", "HS512"})
_MIN_SECRET: Final = 32  # bytes: as long as the hash (RFC 7518, section 3.2)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# The kind of error for an issuer without keys, which may follow from keys that are wrong.
NO_KEYS: Final = "no_keys"

_Text = Annotated[str, Field(min_length=1, max_length=2048)]
_Claim = Annotated[str, Field(min_length=1, max_length=255)]


def _check_audience(audience: tuple[str, ...]) -> tuple[str, ...]:
    if not audience or not all(audience):
        raise ValueError("name the audience that tokens for this service carry")
    return audience


def _check_keys_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"https?://[\x21-\x7e]+", url) or parts.fragment:
        raise ValueError("must be https://host/path, without user and fragment")
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError("must be https: whoever can change the keys on their way is let in")
    return url


def _check_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < _MIN_SECRET:
        raise ValueError(f"must have {_MIN_SECRET} bytes or more: shorter ones can be guessed")
    return secret


class JwtSettings(BaseModel):
    """One issuer: its public keys by `jwks_url` (RFC 7517), or a secret shared with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: _Text
    audience: Annotated[Words, AfterValidator(_check_audience)]
    jwks_url: Annotated[str, AfterValidator(_check_keys_url)] | None = None
    secret: Annotated[SecretStr, AfterValidator(_check_secret)] | None = None
    algorithms: Words = ()
    leeway: Annotated[int, Field(ge=0, le=60)] = 30
    scope_claim: _Claim = "scope"
    tenant_claim: _Claim | None = None
    # What the header's `typ` must be: `at+jwt` for access tokens of RFC 9068. None: anything.
    typ: _Claim | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.jwks_url is None and self.secret is None:
            raise PydanticCustomError(NO_KEYS, "give either jwks_url or secret")
        if self.jwks_url is not None and self.secret is not None:
            raise ValueError("give either jwks_url or secret, not both")
        known = _BY_PUBLIC_KEY if self.secret is None else _BY_SECRET
        for algorithm in self.algorithms:
            if algorithm not in known:
                raise ValueError(
                    f"algorithms: {algorithm!r} is none of {', '.join(sorted(known))}, "
                    f"those that go with {'jwks_url' if self.secret is None else 'secret'}"
                )
        return self

    @property
    def accepted(self) -> tuple[str, ...]:
        """The accepted algorithms, whatever a token's own header says (RFC 8725, section 3.1)."""
        return self.algorithms or (("RS256",) if self.secret is None else ("HS256",))
