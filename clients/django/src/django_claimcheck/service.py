"""Requests to the service. Each raises a `claimcheck_client.ClaimcheckError`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

from claimcheck_client import Client
from django.utils.asyncio import async_unsafe

from django_claimcheck.conf import Conf, conf

# Somebody waits for the page: a connection that broke is tried once more, and no longer.
_RETRIES = 1
_MOST = 1000


@cache
def _client(of: Conf, _process: int) -> Client:
    """One for each process, as connections cannot be shared."""
    return Client(of.url, of.key, timeout=of.timeout, cache=None)


@async_unsafe("The service is asked in a thread: use sync_to_async, as for Django's own queries.")
def ask(method: str, path: str, json: Any = None, **options: Any) -> Any:
    """The JSON of the answer."""
    client = _client(conf(), os.getpid())
    return client.request(method, path, json=json, retries=_RETRIES, **options)


def files(kind: str, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Files by `ids` or `urls`, in order: whole, with owners, or with a `problem`."""
    for some in _batches(wanted):
        answer = ask("POST", "/v1/files/presign", {kind: some, "details": True})
        yield from answer["items"]


def _batches(wanted: Iterable[str]) -> Iterator[list[str]]:
    left = iter(wanted)
    while some := list(islice(left, _MOST)):
        yield some


def mint(destination: str, owner: str, *, files: int, seconds: int) -> dict[str, Any]:
    """An upload session, its token in it."""
    wanted = {"destination": destination, "owner": owner, "max_files": files, "expires_in": seconds}
    made: dict[str, Any] = ask("POST", "/v1/upload-sessions", wanted, once=True)
    return made
