"""Values that leave for a page and come back, signed so that the page cannot make others."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

_MARK = "kept"


def seal(secret: bytes, purpose: str, value: str) -> str:
    """The value with a signature that is good for this purpose alone."""
    return f"{_MARK}:{_signature(secret, purpose, value)}:{value}"


def unseal(secret: bytes, purpose: str, sealed: str) -> str | None:
    """The value, None if nobody with the secret sealed it for this purpose."""
    mark, _, rest = sealed.partition(":")
    signature, _, value = rest.partition(":")
    genuine = _signature(secret, purpose, value)
    if mark != _MARK or not hmac.compare_digest(signature.encode(), genuine.encode()):
        return None
    return value


def _signature(secret: bytes, purpose: str, value: str) -> str:
    digest = hmac.digest(secret, f"{purpose}\0{value}".encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")
