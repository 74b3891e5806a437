"""Values that leave for a page and come back, signed so that the page cannot make others."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256


def seal(secret: bytes, purpose: str, value: str) -> str:
    """The value with a signature that is good for this purpose alone."""
    return f"kept:{_signature(secret, purpose, value)}:{value}"


def unseal(secret: bytes, purpose: str, sealed: str) -> str | None:
    """The value, None if nobody with the secret sealed it for this purpose."""
    value = sealed.partition(":")[2].partition(":")[2]
    genuine = seal(secret, purpose, value)
    return value if hmac.compare_digest(sealed.encode(), genuine.encode()) else None


def _signature(secret: bytes, purpose: str, value: str) -> str:
    digest = hmac.digest(secret, f"{purpose}\0{value}".encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")
