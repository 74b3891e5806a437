"""From a token to the principal: a JSON Web Token, an API key, an upload session or a request."""

from datetime import datetime

from app.access import api_keys, file_requests, upload_sessions
from app.core.opaque_tokens import KEY_PREFIX, REQUEST_PREFIX, SESSION_PREFIX, hash_token, is_token
from app.core.principal import Principal
from app.errors import InvalidToken
from app.logs.log import current_actor
from app.runtime.resources import Resources

# Some issuers' tokens are long, with all groups of their subject in them.
MAX_TOKEN = 16_384


async def principal_from_token(res: Resources, token: str) -> Principal:
    """The token's principal. Raises InvalidToken, IssuerUnavailable and TooManyRequests.

    A verified token is remembered: a JWT until it expires, or its issuer's keys are due again; one
    of our own tokens for `api_keys.STALENESS`.
    """
    if len(token) > MAX_TOKEN:
        raise InvalidToken(f"A token of more than {MAX_TOKEN} characters is none of ours.")
    token_hash = hash_token(token)
    known = res.known_tokens.get(token_hash, res.clock())
    if known is not None:
        return known
    actor = current_actor.get()
    if actor is not None:
        await res.rate_limits.admit_address(actor.client)
    principal, until = await _verified(res, token, token_hash)
    res.known_tokens.note(token_hash, principal, until)
    return principal


async def _verified(res: Resources, token: str, token_hash: bytes) -> tuple[Principal, datetime]:
    if token.startswith(SESSION_PREFIX) and is_token(token):
        return await upload_sessions.principal_of(res, token_hash)
    if token.startswith(REQUEST_PREFIX) and is_token(token):
        return await file_requests.principal_of(res, token_hash)
    if token.startswith(KEY_PREFIX) and is_token(token) and "keys" in res.settings.auth:
        return await api_keys.principal_of(res, token_hash)
    if res.web_tokens is not None:
        return await res.web_tokens.verify(token)
    raise InvalidToken("The token is none that this service takes.")
