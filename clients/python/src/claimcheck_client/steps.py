"""Stories without I/O, told once for both clients.

A story is a generator. It yields what is to be done, `Http`, `Wait`, `Do` or `Together`, is sent
the outcome (or thrown the failure), and returns its result. `blocking.py` and `asynchronous.py`
each do these four things in their own way, and nothing else.
"""

from __future__ import annotations

import json as jsons
import logging
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from claimcheck_client.errors import ClaimcheckError, Problem, seconds

T = TypeVar("T")
RETRIES = 8
_FIRST_WAIT = 1.0  # seconds before the first retry, at most; doubled for each further one
_LONGEST_WAIT = 30.0
_random = secrets.SystemRandom()
_log = logging.getLogger("claimcheck_client")


@dataclass(frozen=True)
class Answer:
    """An answer of a server; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Its JSON, or None where it has none: a proxy in between may answer with a page."""
        try:
            return jsons.loads(self.content)
        except ValueError:
            return None


@dataclass(frozen=True)
class Http:
    """A request: the outcome is an `Answer`; `Unreachable` where there is none.

    A `url` that begins with a slash is of the service, and goes with the key. `body` is sent as it
    is iterated, `length` bytes of it. `open` is called with status and headers of the answer; where
    it returns a function, that takes the content as it comes.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] | None = None
    length: int = 0
    open: Callable[[int, Mapping[str, str]], Callable[[bytes], None] | None] | None = None


@dataclass(frozen=True)
class Wait:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Do:
    """Call something that reads or writes files or computes for long; the outcome is its result."""

    work: Callable[[], Any]


class Limit:
    """How many requests to the bucket run at once: two at first, more while they are quick.

    Fewer while they are slow, and half as many after a failure, because a broken connection loses
    all that are under way.
    """

    _QUICK, _SLOW = 2.0, 8.0  # seconds

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.now = min(2, self.most)

    def took(self, seconds: float) -> None:
        if seconds < self._QUICK:
            self.now = min(self.now + 1, self.most)
        elif seconds > self._SLOW and self.now > 2:
            self.now -= 1

    def failed(self) -> None:
        self.now = max(1, self.now // 2)


@dataclass(frozen=True)
class Together:
    """Stories to be told side by side, as many at once as the limit allows.

    The first failure ends all of them, and is the outcome.
    """

    jobs: Iterator[Steps[None]]
    limit: Limit


Step: TypeAlias = Http | Wait | Do | Together
Steps: TypeAlias = Generator[Step, Any, T]


class Progress:
    """Bytes that have left so far, told to whoever asked for it, one telling at a time.

    `total` is 0 where nobody knows it.
    """

    def __init__(self, total: int, tell: Callable[[int, int], None] | None) -> None:
        self.total, self._tell = total, tell
        self._sent = 0
        self._of: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(self, part: int, count: int) -> None:
        with self._lock:
            self._of[part] = self._of.get(part, 0) + count
            self._change(count)

    def reset(self, part: int, count: int = 0) -> None:
        """Of this part so many bytes have left, whatever was told before."""
        with self._lock:
            before = self._of.get(part, 0)
            self._of[part] = count
            self._change(count - before)

    def _change(self, count: int) -> None:
        self._sent += count
        if self._tell is not None and count:
            self._tell(min(self._sent, self.total or self._sent), self.total)


def persist(work: Callable[[int], Steps[T]], retries: int = RETRIES) -> Steps[T]:
    """Tell a story until it succeeds, fails for good or has failed too often.

    `work` is called with the number of failures so far. Between two tries lies what the answer
    asked for, or else an exponential backoff with full jitter.
    """
    failures = 0
    while True:
        try:
            return (yield from work(failures))
        except ClaimcheckError as error:
            most = retries if error.again is None else min(error.again, retries)
            if not error.may_repeat or failures >= most:
                raise
            longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**failures)
            wait = error.wait or _random.uniform(0, longest)
            _log.info("%s Trying again in %.0f s.", error, wait)
        yield Wait(wait)
        failures += 1


def request(
    method: str,
    path: str,
    *,
    json: Any = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    once: bool = False,
    retries: int = RETRIES,
) -> Steps[Any]:
    """A request to the service, and the JSON of its answer; None where that is empty.

    Members of `params` that are None are left out. With `once` all its repeats have one
    `Idempotency-Key`, so that nothing is made twice. While the service says that it is at work
    still (202) it is asked again. Raises Problem, Unreachable.
    """
    sent = dict(headers or {})
    if once:
        sent["idempotency-key"] = f'"{secrets.token_urlsafe(18)}"'
    body = None
    if json is not None:
        sent["content-type"] = "application/json"
        body = jsons.dumps(json).encode()
    url = path + query(params or {})

    def ask(_: int) -> Steps[Any]:
        while True:
            content = None if body is None else (body,)
            answer: Answer = yield Http(method, url, sent, content, len(body or b""))
            if answer.status != 202:
                break
            yield Wait(seconds(answer.headers.get("retry-after")) or 2)
        found = answer.json()
        # A success without JSON is a failure too: of a proxy, or a portal.
        if answer.status == 204 or (answer.status < 300 and found is not None):
            return found
        members = found if isinstance(found, dict) else {}
        status = answer.status if answer.status >= 300 else 502
        raise Problem(status, members, answer.headers.get("retry-after"))

    return (yield from persist(ask, retries))


def query(params: Mapping[str, Any]) -> str:
    """`?a=b`, without members that are None; lists with commas, booleans as JSON writes them."""
    given = {name: _text(value) for name, value in params.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return ",".join(map(str, value))
