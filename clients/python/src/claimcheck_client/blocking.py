"""The client for programs without asyncio. It may be shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar, Unpack, cast

import httpx

from claimcheck_client import calls
from claimcheck_client.download import download
from claimcheck_client.memory import cache_directory
from claimcheck_client.sending import SetUp, UploadOptions, send
from claimcheck_client.source import Given
from claimcheck_client.steps import Answer, Do, Http, Step, Steps, Together, Wait, request
from claimcheck_client.types import Events, File

T = TypeVar("T")
P = ParamSpec("P")


class _Stopped(BaseException):
    """Another of the stories that are told together has failed."""


class _Teller(Protocol):
    def _tell(self, steps: Steps[T]) -> T: ...


def _told(story: Callable[P, Steps[T]]) -> Callable[Concatenate[_Teller, P], T]:
    @wraps(story)
    def method(self: _Teller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._tell(story(*args, **kwargs))

    return cast(Callable[Concatenate[_Teller, P], T], method)


def _listed(pages: Callable[P, calls.Pages[T]]) -> Callable[Concatenate[_Teller, P], Iterator[T]]:
    @wraps(pages)
    def method(self: _Teller, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        page = pages(*args, **kwargs)
        cursor: str | None = None
        while True:
            items, cursor = self._tell(page(cursor))
            yield from items
            if cursor is None:
                return

    return cast(Callable[Concatenate[_Teller, P], Iterator[T]], method)


class _Room:
    """Methods of a client that have a subject in common."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _tell(self, steps: Steps[T]) -> T:
        return self._client._tell(steps)


class Records(_Room):
    """Your own things that hold files (docs/records.md)."""

    get = _told(calls.get_record)
    get_many = _told(calls.get_records)
    put = _told(calls.put_record)
    empty = _told(calls.empty_record)


class Sessions(_Room):
    """Tokens for browsers (docs/auth.md)."""

    mint = _told(calls.mint)
    get = _told(calls.get_session)
    end = _told(calls.end_session)
    list = _listed(calls.sessions)


class Client:
    """A service at `url`, with an API key, an upload session's token, or a function that gives one.

    `parallel`: requests to the bucket at once, at most. `cache`: the folder in which unfinished
    uploads are remembered; None: they are not. `timeout`: seconds that the service has to answer.
    `http`: an `httpx.Client` of your own, for proxies and certificates, which you close.
    """

    def __init__(
        self,
        url: str,
        key: str | Callable[[], str] | None = None,
        *,
        parallel: int = 8,
        cache: Path | None = cache_directory(),  # noqa: B008 - of this user, once
        timeout: float = 60,
        http: httpx.Client | None = None,
    ) -> None:
        self._set_up = SetUp(url, key, parallel, cache, timeout)
        self._http = http or httpx.Client()
        self._is_ours = http is None
        self.records = Records(self)
        self.sessions = Sessions(self)

    def upload(self, given: Given, destination: str, **options: Unpack[UploadOptions]) -> File:
        """Upload a path, a file that is open for reading bytes, or bytes; the confirmed file.

        Large files go in parts, several at once. If it fails, or the process is killed, the next
        call with the same contents goes on from what the bucket has. Raises Problem, Unreachable,
        BucketError, FileChanged.
        """
        return self._tell(send(self._set_up, given, destination, options))

    def events(
        self, after: str | None = None, *, types: Iterable[str] | None = None
    ) -> Iterator[Events]:
        """Pages of events as they happen, for ever; None: from the beginning, "latest": from now.

        Keep the `cursor` of each where you keep what its events made you do.
        """
        wanted = None if types is None else list(types)
        while True:
            page = self._tell(calls.events(after, types=wanted))
            after = page["cursor"]
            yield page

    download = _told(download)
    file = _told(calls.file)
    files = _listed(calls.files)
    change = _told(calls.change)
    delete = _told(calls.delete)
    link = _told(calls.link)
    links = _told(calls.links)
    destinations = _told(calls.destinations)
    request = _told(request)

    def close(self) -> None:
        if self._is_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, steps: Steps[T], stop: threading.Event | None = None) -> T:
        stop = stop or threading.Event()
        outcome: Any = None
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._do(step, stop)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            steps.close()

    def _do(self, step: Step, stop: threading.Event) -> Any:
        match step:
            case Http():
                return self._ask(step, stop)
            case Wait():
                if stop.wait(step.seconds):
                    raise _Stopped
            case Do():
                return step.work()
            case Together():
                self._together(step)
        return None

    def _ask(self, asked: Http, stop: threading.Event) -> Answer:
        def blocks(body: Iterable[bytes]) -> Iterator[bytes]:
            for block in body:
                if stop.is_set():
                    raise _Stopped
                yield block

        content = None if asked.body is None else blocks(asked.body)
        try:
            with self._http.stream(**self._set_up.request(asked), content=content) as response:
                take = asked.open and asked.open(response.status_code, response.headers)
                if take:
                    for block in response.iter_bytes():
                        take(block)
                found = b"" if take else response.read()
        except httpx.TransportError as error:
            raise self._set_up.unreachable(asked, error) from error
        return Answer(response.status_code, response.headers, found)

    def _together(self, these: Together) -> None:
        stop = threading.Event()
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(these.limit.most) as pool:
            try:
                for job in these.jobs:
                    running.add(pool.submit(self._tell, job, stop))
                    while len(running) >= these.limit.now:
                        running = _finished(running)
                while running:
                    running = _finished(running)
            except BaseException:
                stop.set()
                raise


def _finished(running: set[Future[None]]) -> set[Future[None]]:
    """Wait until one has finished; the others. Raises its failure."""
    done, others = wait(running, return_when=FIRST_COMPLETED)
    for each in done:
        each.result()
    return others
