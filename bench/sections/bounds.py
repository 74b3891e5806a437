"""Each value that a client may send, at its bound and at its worst, beside a plain one."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from bench.rows import BUCKET
from bench.servers import BenchError, Server
from bench.stack import Stack

SECTION: Final = "values at their bounds, times a plain one"
WORST: Final = "the worst of them"
_JSON: Final = {"Content-Type": "application/json"}
_FILE: Final = {"destination": "images", "filename": "Holiday.png", "size": 5}
_ID: Final = str(uuid.UUID(int=7))
# Marks of two classes in turn: what normalizes them has to sort them.
_MARKS: Final = "a" + "\u0301\u0316" * 2047


class Ask(NamedTuple):
    """A request. It may be refused, but not fail."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = _JSON


def _announce(**change: Any) -> Ask:
    return Ask("POST", "/v1/uploads", _FILE | change)


def _uppy(**change: Any) -> Ask:
    start = {"filename": "a.png", "metadata": {"destination": "images"}, **change}
    return Ask("POST", "/uppy/s3/multipart", start)


def _with(name: str, value: str) -> Ask:
    return Ask("POST", "/v1/uploads", _FILE, _JSON | {name: value})


_PLAIN, _PLAIN_UPPY = _announce(), _uppy()
_LIST, _GET = Ask("GET", "/v1/files?limit=1"), Ask("GET", f"/v1/files/{_ID}")
_LIVE, _STATIC = Ask("GET", "/livez"), Ask("GET", "/static/page.css")
_PUT: Final = "/v1/records/product/42/picture"
# By name: the plain request, and the same with one value at its worst.
ROWS: Final[dict[str, tuple[Ask, Ask]]] = {
    "name, marks": (_PLAIN, _announce(filename=_MARKS[:4096])),
    "name, marks in its last part": (_PLAIN, _announce(filename=_MARKS[:1020])),
    "name, ligatures": (_PLAIN, _announce(filename="\ufdfa" * 255)),
    "name, a path": (_PLAIN, _announce(filename="/" * 4095 + "a")),
    "name, dots": (_PLAIN, _announce(filename="a" + ". " * 2047)),
    "name, 64 KiB": (_PLAIN, _announce(filename="\u0301\u0316" * 5000)),
    "content type, parameters": (_PLAIN, _announce(content_type="a/b" + ";a=b" * 249)),
    "content type, quotes": (_PLAIN, _announce(content_type='a/b;a="' + "\\a" * 496)),
    "destination": (_PLAIN, _announce(destination="\u0301" * 100)),
    "checksum": (_PLAIN, _announce(checksum_sha256="A" * 44)),
    "size": (_PLAIN, _announce(size=10**4000)),
    "header Content-Type": (_PLAIN, _with("Content-Type", 'a/b;"' + ";" * 1000)),
    "header Content-Type, 60 KiB": (_PLAIN, _with("Content-Type", 'a/b;"' + ";" * 60_000)),
    "header Authorization": (_PLAIN, _with("Authorization", "Bearer " + "a" * 60_000)),
    "header Cookie": (_PLAIN, _with("Cookie", 'a="\\"' * 12_000)),
    "header X-Forwarded-For": (_PLAIN, _with("X-Forwarded-For", "10.0.0.1," * 6000)),
    "header X-Request-ID": (_PLAIN, _with("X-Request-ID", "a" * 60_000)),
    "header Range": (_STATIC, _STATIC._replace(headers={"Range": "bytes=" + "0-1," * 250})),
    "header If-None-Match": (_STATIC, _STATIC._replace(headers={"If-None-Match": '"a",' * 1000})),
    "header If-Match": (
        Ask("DELETE", _PUT),
        Ask("DELETE", _PUT, None, {"If-Match": '"a",' * 1000 + '"a"'}),
    ),
    "path": (_LIVE, Ask("GET", "/" + "a/" * 1000)),
    "path, 60 KiB": (_LIVE, Ask("GET", "/static/" + "a/" * 30_000)),
    "query": (_LIST, Ask("GET", "/v1/files?" + "a=&" * 99)),
    "query, 60 KiB": (_LIST, Ask("GET", "/v1/files?" + "a=&" * 20_000)),
    "query, cursor": (_LIST, Ask("GET", "/v1/files?cursor=" + "a" * 200)),
    "query, content_type": (_LIST, Ask("GET", "/v1/files?content_type=a/" + "a;" * 126)),
    "query, filename": (
        _GET._replace(path=f"{_GET.path}/content"),
        _GET._replace(path=f"{_GET.path}/content?filename={quote(_MARKS[:1020])}"),
    ),
    "url": (
        Ask("POST", "/v1/files", {"url": "https://a/b"}),
        Ask("POST", "/v1/files", {"url": "https://a/" + "%41" * 2700}),
    ),
    "url, in our bucket": (
        Ask("POST", "/v1/files", {"url": f"https://a/{BUCKET}/b"}),
        Ask("POST", "/v1/files", {"url": f"https://a/{BUCKET}/" + "%41" * 1024}),
    ),
    "key": (
        Ask("POST", "/v1/files", {"destination": "images", "key": "images/a"}),
        Ask("POST", "/v1/files", {"destination": "images", "key": "\u0301\u0316" * 512}),
    ),
    "object key": (
        Ask("POST", "/v1/upload-url", {"object_key": "images/a.png"}),
        Ask("POST", "/v1/upload-url", {"object_key": _MARKS[:4096]}),
    ),
    "Uppy's name": (_PLAIN_UPPY, _uppy(filename=_MARKS[:4096])),
    "Uppy's type": (_PLAIN_UPPY, _uppy(type="a/b" + ";a=b" * 249)),
    "Uppy's metadata": (_PLAIN_UPPY, _uppy(metadata={"destination": "\u0301" * 100})),
}


def measure(stack: Stack) -> None:
    """Processor time of the service for each, a request at a time."""
    worst = 0.0
    with stack.service() as server:
        plain: dict[str, float] = {}
        for name, (asked, nasty) in ROWS.items():
            stack.say(f"{SECTION}: {name}")
            base = plain.get(repr(asked)) or _cost(server, asked)
            plain[repr(asked)] = base
            times = _cost(server, nasty) / base
            worst = max(worst, times)
            stack.results.add(SECTION, name, times, "times")
    stack.results.add(SECTION, WORST, worst, "times")


def _cost(server: Server, asked: Ask) -> float:
    """Seconds of processor time for one such request, of some hundreds."""
    url = urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    body = None if asked.body is None else json.dumps(asked.body)
    for count in (20, 300):  # the first to warm up
        before = server.cpu_seconds()
        for _ in range(count):
            connection.request(asked.method, asked.path, body, asked.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 500:
                raise BenchError(f"{asked.method} {asked.path[:80]}: {answer.status}")
        spent = server.cpu_seconds() - before
    connection.close()
    return spent / count
