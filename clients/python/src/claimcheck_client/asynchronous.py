"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import wraps
from itertools import islice
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
_AT_ONCE = 4  # blocks that are read in one visit to a thread


class _Teller(Protocol):
    async def _tell(self, steps: Steps[T]) -> T: ...


def _told(story: Callable[P, Steps[T]]) -> Callable[Concatenate[_Teller, P], Awaitable[T]]:
    @wraps(story)
    async def method(self: _Teller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._tell(story(*args, **kwargs))

    return cast(Callable[Concatenate[_Teller, P], Awaitable[T]], method)


def _listed(
    pages: Callable[P, calls.Pages[T]],
) -> Callable[Concatenate[_Teller, P], AsyncIterator[T]]:
    @wraps(pages)
    async def method(self: _Teller, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        page = pages(*args, **kwargs)
        cursor: str | None = None
        while True:
            items, cursor = await self._tell(page(cursor))
            for item in items:
                yield item
            if cursor is None:
                return

    return cast(Callable[Concatenate[_Teller, P], AsyncIterator[T]], method)


class _Room:
    """Methods of a client that have a subject in common."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def _tell(self, steps: Steps[T]) -> T:
        return await self._client._tell(steps)


class AsyncRecords(_Room):
    """Your own things that hold files (docs/records.md)."""

    get = _told(calls.get_record)
    get_many = _told(calls.get_records)
    put = _told(calls.put_record)
    empty = _told(calls.empty_record)


class AsyncSessions(_Room):
    """Tokens for browsers (docs/auth.md)."""

    mint = _told(calls.mint)
    get = _told(calls.get_session)
    end = _told(calls.end_session)
    list = _listed(calls.sessions)


class AsyncClient:
    """As `Client`, with the same arguments and methods, which are awaited; `http` is an
    `httpx.AsyncClient`.
    """

    def __init__(
        self,
        url: str,
        key: str | Callable[[], str] | None = None,
        *,
        parallel: int = 8,
        cache: Path | None = cache_directory(),  # noqa: B008 - of this user, once
        timeout: float = 60,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._set_up = SetUp(url, key, parallel, cache, timeout)
        self._http = http or httpx.AsyncClient()
        self._is_ours = http is None
        self.records = AsyncRecords(self)
        self.sessions = AsyncSessions(self)

    async def upload(
        self, given: Given, destination: str, **options: Unpack[UploadOptions]
    ) -> File:
        """Upload a path, a file that is open for reading bytes, or bytes; the confirmed file.

        As `Client.upload`. If it is cancelled, the next call with the same contents goes on.
        """
        return await self._tell(send(self._set_up, given, destination, options))

    async def events(
        self, after: str | None = None, *, types: Iterable[str] | None = None
    ) -> AsyncIterator[Events]:
        """Pages of events as they happen, for ever; None: from the beginning, "latest": from now.

        Keep the `cursor` of each where you keep what its events made you do.
        """
        wanted = None if types is None else list(types)
        while True:
            page = await self._tell(calls.events(after, types=wanted))
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

    async def close(self) -> None:
        if self._is_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _tell(self, steps: Steps[T]) -> T:
        outcome: Any = None
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._do(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            steps.close()

    async def _do(self, step: Step) -> Any:
        match step:
            case Http():
                return await self._ask(step)
            case Wait():
                await asyncio.sleep(step.seconds)
            case Do():
                return await asyncio.to_thread(step.work)
            case Together():
                await self._together(step)
        return None

    async def _ask(self, asked: Http) -> Answer:
        content = None if asked.body is None else _blocks(asked.body)
        sent = self._set_up.request(asked)
        try:
            async with self._http.stream(**sent, content=content) as response:
                take = asked.open and asked.open(response.status_code, response.headers)
                if take:
                    async for block in response.aiter_bytes(1 << 20):
                        await asyncio.to_thread(take, block)
                found = b"" if take else await response.aread()
        except httpx.TransportError as error:
            raise self._set_up.unreachable(asked, error) from error
        return Answer(response.status_code, response.headers, found)

    async def _together(self, these: Together) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for job in these.jobs:
                running.add(asyncio.create_task(self._tell(job)))
                while len(running) >= these.limit.now:
                    running = await _finished(running)
            while running:
                running = await _finished(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _blocks(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, tuple):
        for block in body:
            yield block
        return
    blocks = iter(body)
    while some := await asyncio.to_thread(lambda: list(islice(blocks, _AT_ONCE))):
        for block in some:
            yield block


async def _finished(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait until one has finished; the others. Raises its failure."""
    done, others = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        await each
    return others
