"""Signs values that a page sends back, so that it cannot send others."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256


def seal(secret: bytes, purpose: str, value: str) -> str:
    """The value with a signature that is valid for this purpose alone."""
    return f"kept:{_signature(secret, purpose, value)}:{value}"


def unseal(secret: bytes, purpose: str, sealed: str) -> str | None:
    """The value of a sealed one, None unless it was sealed with this secret for this purpose."""
    value = sealed.partition(":")[2].partition(":")[2]
    genuine = seal(secret, purpose, value)
    return value if hmac.compare_digest(sealed.encode(), genuine.encode()) else None


def _signature(secret: bytes, purpose: str, value: str) -> str:
    digest = hmac.digest(secret, f"{purpose}\0{value}".encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")
