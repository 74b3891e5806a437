"""How the two clients are set up, and how they begin an upload."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

import httpx

from claimcheck_client.errors import Problem, Unreachable
from claimcheck_client.memory import Entry, cache_directory, remembered
from claimcheck_client.piped import REFUSES_PIPES, can_be_piped, upload_piped
from claimcheck_client.source import Given, Source
from claimcheck_client.steps import Do, Http, Steps
from claimcheck_client.types import Field, File, Metadata
from claimcheck_client.upload import REMEMBERED_FROM, Wanted, upload


@dataclass(frozen=True)
class SetUp:
    """Of a client. `parallel`: requests to the bucket at once, at most.

    `cache`: where unfinished uploads are remembered; None: nowhere, they are never resumed.
    `timeout`: seconds until the service must answer. Raises ValueError of a `url` that is none.
    """

    url: str
    key: str | Callable[[], str] | None = None
    parallel: int = 8
    cache: Path | None = field(default_factory=cache_directory)
    timeout: float = 60

    def __post_init__(self) -> None:
        # Else each request would be tried again for a minute before it is told.
        if not re.match("(?i)https?://[^/]", self.url):
            raise ValueError(f"The service's URL must begin with http:// or https://: {self.url!r}")

    def unreachable(self, http: Http, error: Exception) -> Unreachable:
        """The failure that a request had no answer: where, but no path, signature or password."""
        parts = urlsplit(self.url if http.url.startswith("/") else http.url)
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        why = f"({type(error).__name__}: {error})"
        return Unreachable(f"{where} cannot be reached. Is it right, and does it run? {why}")

    def request(self, http: Http) -> dict[str, Any]:
        """A request as httpx takes it, but for its body: to the service with the key."""
        headers = dict(http.headers)
        if http.body is not None or http.method in ("PUT", "POST", "PATCH"):
            headers["content-length"] = str(http.length)
        url = http.url
        is_ours = url.startswith("/")
        if is_ours:
            url = self.url.rstrip("/") + url
            key = self.key() if callable(self.key) else self.key
            if key:
                headers["authorization"] = f"Bearer {key}"
        # The service answers within 30 s, or says "later". A bucket may need minutes for a part.
        ours = httpx.Timeout(self.timeout, pool=None)
        timeout = ours if is_ours else httpx.Timeout(60, read=300, pool=None)
        return {"method": http.method, "url": url, "headers": headers, "timeout": timeout}


class UploadOptions(TypedDict, total=False):
    """Of an upload; all may be left out.

    `filename`: else that of the path. `content_type`: else the service goes by the extension.
    `path`: where it lay in a folder. `attach_to`: the field of a record that it goes into.
    `with_sha256`: read it once before, and announce its SHA-256: the bucket may compare it, and
    bytes that are there already need not be sent. `on_progress` is called with bytes sent and bytes
    of all (0 while nobody knows how long a pipe is), now and then from another thread.
    """

    filename: str
    content_type: str
    path: str
    metadata: Metadata
    attach_to: Field
    with_sha256: bool
    on_progress: Callable[[int, int], None]


def send(set_up: SetUp, given: Given, destination: str, options: Mapping[str, Any]) -> Steps[File]:
    """Upload a path, a file or a pipe that is open for reading bytes, or bytes."""
    source: Source = yield Do(partial(Source, given))
    try:
        announcement = {
            "destination": destination,
            "filename": options.get("filename", source.name),
        }
        for name in ("content_type", "path", "metadata"):
            if options.get(name) is not None:
                announcement[name] = options[name]
        wanted = Wanted(
            source,
            announcement,
            options.get("attach_to"),
            set_up.parallel,
            options.get("on_progress"),
            partial(_entry, set_up, source, announcement),
        )
        if source.rest is not None:
            if not options.get("with_sha256") and can_be_piped(wanted):
                try:
                    return (yield from upload_piped(wanted))
                except Problem as problem:
                    if problem.type not in REFUSES_PIPES:
                        raise
            yield Do(source.fill)
        announcement["size"] = source.size
        if options.get("with_sha256"):
            digest = yield Do(partial(source.digest, "sha256"))
            announcement["checksum_sha256"] = base64.b64encode(digest).decode()
        return (yield from upload(wanted))
    finally:
        source.close()


def _entry(set_up: SetUp, source: Source, announcement: Mapping[str, Any]) -> Entry:
    if set_up.cache is None or source.size <= REMEMBERED_FROM:
        return Entry(None, None)
    return remembered(set_up.cache, set_up.url, announcement, source.sample())
