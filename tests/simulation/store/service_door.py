"""The way of the service itself to its buckets: real `Buckets`, whose clients are these.

`Web` is in the place of app.store.web.Web, `Client` in that of aiobotocore's S3 clients: it has the
methods that the service calls, answers as botocore parses answers, repeats as its standard mode
does, and fails as it and aiohttp fail.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from multidict import CIMultiDict

from app.core.destination import Destination
from app.embedded.s3_error import S3Error
from app.single_flight import SingleFlight
from app.store.client import Buckets
from app.store.credentials import CredentialChain
from app.store.web import READ_TIMEOUT, Answer
from tests.simulation.store.operations import OPERATIONS, PAGES
from tests.simulation.store.simulated import Store

_COMPLETE_SECONDS: Final = 600
_SKEW: Final = timedelta(minutes=15)
# As botocore.retries.standard.
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "PriorRequestNotComplete"})


class Web:
    """Sends looks, each of which is a presigned request."""

    def __init__(self, store: Store, process: Any) -> None:
        self._store = store
        self._process = process

    async def ask(self, method: str, url: str, headers: Mapping[str, str], length: int) -> Answer:
        """Raises HTTPClientError, OSError, TimeoutError."""
        try:
            reply = await self._store.reply(
                self._process, method, url, headers, seconds=READ_TIMEOUT
            )
        except ConnectionResetError as error:
            raise HTTPClientError(error=error) from error
        if method == "HEAD" and reply.status == 404 and self._store.manners.heads_have_bodies:
            raise HTTPClientError(error=ValueError("Data after `Connection: close`"))
        start = reply.body.read(0, length if reply.ok else 16_384)
        return Answer(reply.status, "", CIMultiDict(reply.headers), start)


class Client:
    """The S3 client of one process, signing with its credentials at its own clock."""

    def __init__(
        self,
        store: Store,
        process: Any,
        chain: CredentialChain,
        clock: Callable[[], datetime],
        note: Callable[[dict[str, Any]], None],
        *,
        slow: bool,
    ) -> None:
        self._store, self._process, self._chain = store, process, chain
        self._clock, self._note = clock, note
        self._attempts, self._seconds = (1, _COMPLETE_SECONDS) if slow else (2, READ_TIMEOUT)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in OPERATIONS:
            raise AttributeError(name)

        async def call(**parameters: Any) -> dict[str, Any]:
            return await self._call(name, parameters)

        return call

    def get_paginator(self, name: str) -> "_Pages":
        return _Pages(self, name)

    async def _call(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        attempt = 1
        while True:
            try:
                return await self._once(name, parameters)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                code = error.response["Error"]["Code"]
                if attempt == self._attempts or not (status in _PASSING or code in _PASSING_CODES):
                    raise
            except HTTPClientError:
                if attempt == self._attempts:
                    raise
            attempt += 1
            await asyncio.sleep(random.random())

    async def _once(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        credentials = await self._chain.for_calls()
        signed_at = self._clock()
        store = self._store

        def effect() -> dict[str, Any]:
            now = store.clock()
            store.keys.find(credentials.access_key, credentials.session_token, now)
            if abs(now - signed_at) > _SKEW:
                raise S3Error(403, "RequestTimeTooSkewed", "The clocks differ too much.")
            store.before(self._process, name, parameters)
            try:
                return OPERATIONS[name](store, str(self._process), **parameters)
            finally:
                store.after(self._process, name)

        try:
            said = await store.passed(self._process, "store", name, effect, seconds=self._seconds)
        except S3Error as error:
            if _is_unreadable(store, name, error):
                raise HTTPClientError(error=ValueError("Data after `Connection: close`")) from None
            raise self._refused(name, error) from None
        except ConnectionRefusedError as error:
            raise EndpointConnectionError(endpoint_url="simulated", error=error) from error
        except ConnectionResetError as error:
            raise ConnectionClosedError(endpoint_url="simulated", error=error) from error
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url="simulated", error=error) from error
        answered = {**said, "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}}
        self._note(answered)
        return answered

    def _refused(self, name: str, error: S3Error) -> ClientError:
        date = format_datetime(self._store.clock(), usegmt=True)
        code = str(error.status) if name == "head_bucket" else error.code
        response: dict[str, Any] = {
            "Error": {"Code": code, "Message": error.message},
            "ResponseMetadata": {"HTTPStatusCode": error.status, "HTTPHeaders": {"date": date}},
        }
        self._note(response)
        return ClientError(response, name)


def _is_unreadable(store: Store, name: str, error: S3Error) -> bool:
    return name == "head_bucket" and error.status == 404 and store.manners.heads_have_bodies


class _Pages:
    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    async def paginate(self, **parameters: Any) -> AsyncGenerator[dict[str, Any], None]:
        position: dict[str, Any] = {}
        while True:
            page = await getattr(self._client, self._name)(**parameters, **position)
            yield page
            if not page.get("IsTruncated"):
                return
            position = {
                marker: page[following]
                for marker, following in PAGES[self._name].items()
                if following in page
            }


class SimulatedBuckets(Buckets):
    """`Buckets` with nothing exchanged but what it opens."""

    def __init__(
        self,
        store: Store,
        process: Any,
        clock: Callable[[], datetime],
        chain: CredentialChain,
        destinations: tuple[Destination, ...],
        asking: SingleFlight,
        stack: AsyncExitStack,
    ) -> None:
        super().__init__(chain, destinations, asking, stack)
        self._store, self._process, self._clock = store, process, clock

    async def _open_web(self) -> Any:
        return Web(self._store, self._process)

    async def _open_client(self, destination: Destination, *, slow: bool) -> Any:
        def note(answer: dict[str, Any]) -> None:
            self.note_clock(destination, answer)

        return Client(self._store, self._process, self._chain, self._clock, note, slow=slow)


def opener(
    store: Store,
    process_of: Callable[[], Any] = lambda: None,
    clock_of: Callable[[], Callable[[], datetime]] | None = None,
) -> Callable[..., Any]:
    """Make the stand-in for `app.runtime.resources.open_buckets`: its buckets are this store's.

    `process_of` and `clock_of` are asked once, as buckets are opened: whose they are, and the clock
    by which that process signs.
    """

    @asynccontextmanager
    async def open_buckets(
        chain: CredentialChain, destinations: Iterable[Destination]
    ) -> AsyncIterator[Buckets]:
        asking = SingleFlight()
        clock = clock_of() if clock_of else store.clock
        async with AsyncExitStack() as stack:
            try:
                yield SimulatedBuckets(
                    *(store, process_of() or "service", clock),
                    *(chain, tuple(destinations), asking, stack),
                )
            finally:
                await asking.drain()

    return open_buckets
