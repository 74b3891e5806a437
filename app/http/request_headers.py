"""A request's headers by name, for all that look at one: found once a request."""

from typing import Final

from starlette.types import Scope

# Where a request keeps them.
_BY_NAME: Final = "claimcheck.headers"


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers, names in lower case; of one that is repeated the first counts."""
    found: dict[bytes, bytes] | None = scope.get(_BY_NAME)
    if found is None:
        found = scope[_BY_NAME] = dict(reversed(scope["headers"]))
    return found


def header(scope: Scope, name: bytes) -> str | None:
    """The value of the header, whose name is given in lower case; None where there is none."""
    found = headers_of(scope).get(name)
    return None if found is None else found.decode("latin-1")
