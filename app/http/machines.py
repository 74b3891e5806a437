"""Machines that ask without a credential of the API: by a token of the settings, or by network."""

import ipaddress
import secrets

from fastapi import Request
from pydantic import SecretStr

from app.http.middleware import is_proxied
from app.settings.values import Networks


def is_token(token: SecretStr | None, given: str) -> bool:
    """Whether the text is the token; never where none is set."""
    return token is not None and secrets.compare_digest(
        given.encode("utf-8", "surrogateescape"), token.get_secret_value().encode()
    )


def comes_from(request: Request, networks: Networks) -> bool:
    """Whether the request comes from one of the networks, with no proxy in between: behind a proxy
    every request has the proxy's address.
    """
    if not networks or request.client is None or is_proxied(request.scope):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    return any(address in network for network in networks)
