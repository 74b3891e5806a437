"""The services that the examples are tried on."""

from dataclasses import dataclass

import httpx

MIB = 1 << 20


@dataclass(frozen=True)
class Bench:
    """Services on one bucket: one that needs no credential, as `make run`, and one that does."""

    port: int  # of the examples' pages
    bucket: str  # its origin
    open: httpx.AsyncClient
    keyed: httpx.AsyncClient  # with a key that may do everything
    key: str  # that the back ends get
