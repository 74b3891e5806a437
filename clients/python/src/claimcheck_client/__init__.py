"""Claimcheck from Python: uploads of any size that go on after a crash, downloads, links, events.

`Client` for programs without asyncio, `AsyncClient` for those with it. They are two thin drivers of
one set of stories: see `steps`.
"""

from claimcheck_client.asynchronous import AsyncClient
from claimcheck_client.blocking import Client
from claimcheck_client.errors import (
    BucketError,
    ClaimcheckError,
    FileChanged,
    InvalidSignature,
    Problem,
    Unreachable,
)
from claimcheck_client.types import Event, Events, Field, File, Link, Record, Session
from claimcheck_client.webhooks import verify

__all__ = [
    "AsyncClient",
    "BucketError",
    "ClaimcheckError",
    "Client",
    "Event",
    "Events",
    "Field",
    "File",
    "FileChanged",
    "InvalidSignature",
    "Link",
    "Problem",
    "Record",
    "Session",
    "Unreachable",
    "verify",
]
