"""How a bucket is reached: an S3 client for its endpoint, and what that client's errors mean."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)

from app.core.destination import Destination
from app.core.sigv4 import Credentials
from app.errors import BucketRefused, BucketUnavailable, SigningUnavailable
from app.loading import load_once
from app.single_flight import SingleFlight
from app.store.credentials import CredentialChain, CredentialsUnavailable
from app.store.refusals import clock_refused, is_of_the_clock, refusal

if TYPE_CHECKING:
    from app.store.web import Web

# Seconds, where a client may try again.
RETRY_AFTER: Final = 5
# A complete may take minutes; its answer begins only then on some stores. In seconds.
_COMPLETE_SECONDS: Final = 600
# A bucket that was there is not asked for again for so many seconds.
_CHECK_SECONDS: Final = 30.0
# The codes of stores that do not know a call.
UNKNOWN_CALL: Final = frozenset({"NotImplemented", "MethodNotAllowed"})
# The codes of a session token that has ended or never was one: of AWS, STS and MinIO.
TOKEN_ENDED: Final = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        *("InvalidToken", "InvalidTokenId"),
    }
)
# The answer about a token holds for so many seconds.
_TOKEN_SECONDS: Final = 5.0


@cache
def load_web() -> None:
    """Load what looks and lists are sent by."""
    import app.store.web  # noqa: F401


@cache
def load_clients() -> None:
    """Load what S3 clients are made by, and the data that they are made of."""
    from app.store.session import read_s3_data

    read_s3_data()


_ClientKey = tuple[str | None, str, str]


class Buckets:
    """Two clients for each endpoint and region; and `web`, by which objects are looked at and
    buckets listed (app.store.sending). Each is opened at its first use, and stays open for the
    process's life.
    """

    def __init__(
        self,
        chain: CredentialChain,
        destinations: tuple[Destination, ...],
        asking: SingleFlight,
        stack: AsyncExitStack,
    ) -> None:
        self._chain = chain
        self._destinations = destinations
        self._asking = asking
        self._stack = stack  # closes what is opened
        self._web: Web | None = None
        self._clients: dict[tuple[_ClientKey, bool], Any] = {}
        # When each bucket was there last, by its client, on the event loop's clock.
        self._checked_at: dict[tuple[_ClientKey, str], float] = {}
        # Until when each endpoint is taken to refuse us for our clock, on the event loop's clock.
        self._skewed_until: dict[_ClientKey, float] = {}

    async def web(self) -> "Web":
        """Sends requests to every destination's endpoint."""
        if self._web is None:
            self._web = await asyncio.shield(self._asking.share("web", self._open_web))
        return self._web

    async def client(self, destination: Destination) -> Any:
        """The S3 client of the destination's endpoint (the one for the service, not the public one)
        and region.
        """
        return await self._client(destination, slow=False)

    async def slow_client(self, destination: Destination) -> Any:
        """One that waits for minutes and repeats nothing: for calls that take the store long."""
        return await self._client(destination, slow=True)

    async def _client(self, destination: Destination, *, slow: bool) -> Any:
        key = _client_key(destination), slow
        client = self._clients.get(key)
        if client is None:
            opening = self._asking.share(key, lambda: self._open_client(destination, slow=slow))
            client = self._clients[key] = await asyncio.shield(opening)
        return client

    async def _open_web(self) -> "Web":
        await load_once(load_web)
        from app.store.web import open_web

        return await self._stack.enter_async_context(open_web(self._destinations))

    async def _open_client(self, destination: Destination, *, slow: bool) -> Any:
        await load_once(load_clients)
        from app.store.session import client_session, open_client

        session = client_session(self._chain)
        # Whether a complete is worth repeating is for its caller to find out.
        how = {"read_timeout": _COMPLETE_SECONDS, "attempts": 1} if slow else {}
        opening = open_client(session, destination, **how)
        client = await self._stack.enter_async_context(opening)
        noting = partial(self._note_clock, _client_key(destination))
        client.meta.events.register("after-call.s3", noting)
        return client

    async def credentials(self) -> Credentials:
        """The credentials of the service's own calls. Raises CredentialsUnavailable."""
        return await self._chain.for_calls()

    async def check(self, destination: Destination) -> None:
        """Ask whether the bucket is there and open to us.

        Raises BucketRefused, BucketUnavailable, SigningUnavailable.
        """
        async with self.translated(destination):
            await head_bucket(await self.client(destination), destination.bucket)

    async def require(self, destination: Destination) -> None:
        """Raise ClientError unless the bucket is there: its absence is a 404 to a HEAD of a key as
        the key's is, and no body tells them apart. Asked now and then, not for each key.
        """
        now = asyncio.get_running_loop().time()
        key = _client_key(destination), destination.bucket
        if now - self._checked_at.get(key, -_CHECK_SECONDS) >= _CHECK_SECONDS:
            await head_bucket(await self.client(destination), destination.bucket)
            self._checked_at[key] = now

    def require_clock(self, destination: Destination) -> None:
        """Raises BucketRefused if the store has just refused a call of ours for our clock: it would
        refuse what is signed by it, too.
        """
        if self._skewed_until:
            now = asyncio.get_running_loop().time()
            if now < self._skewed_until.get(_client_key(destination), now):
                raise clock_refused(destination.bucket, None)

    def note_clock(self, destination: Destination, answer: dict[str, Any]) -> None:
        """Take note of what an answer, as botocore parses it, says of this machine's clock."""
        self._note_clock(_client_key(destination), answer)

    def _note_clock(self, key: _ClientKey, parsed: dict[str, Any], **_: Any) -> None:
        if is_of_the_clock(parsed):
            self._skewed_until[key] = asyncio.get_running_loop().time() + _CHECK_SECONDS
        else:
            self._skewed_until.pop(key, None)

    @asynccontextmanager
    async def translated(self, destination: Destination) -> AsyncIterator[None]:
        """As the function below; and where the refusal is for a session token that has ended, the
        credentials are given up, and it is SigningUnavailable.
        """
        held = self._chain.held
        given_up = held is not None and self._chain.has_ended(held)
        try:
            yield
        except _failures() as error:
            refused = isinstance(error, ClientError) and error_status(error) in {400, 401, 403}
            if refused and await self.token_has_ended(destination):
                raise _ENDED.as_problem() from error
            raise _problem(destination.bucket, error) from error
        if given_up and held == self._chain.held:
            self._chain.accepted()

    async def token_has_ended(self, destination: Destination) -> bool:
        """Whether the store, which has refused a call, takes our session token no more. If so, the
        credentials are given up.
        """
        held = self._chain.held
        if held is None or held.session_token is None:
            return False
        if self._chain.has_ended(held):
            return True
        name = _client_key(destination), held
        asking = self._asking.share(name, lambda: self._refuses_all(destination), _TOKEN_SECONDS)
        ended = await asyncio.shield(asking)
        if ended and held == self._chain.held:
            self._chain.refused(held)
        return ended

    async def _refuses_all(self, destination: Destination) -> bool:
        """Whether our token is refused whatever it asks for.

        A HEAD tells no code, so the bucket is listed. Ceph RGW 16.2 has no code of its own for an
        ended token: it is 403 AccessDenied, as a lack of rights is. So a bucket is asked for, too,
        that is not there: whoever has a good token is told so there, with rights or without.
        """
        client = await self.client(destination)
        for bucket in (destination.bucket, f"claimcheck-{secrets.token_hex(16)}"):
            try:
                await client.list_objects_v2(Bucket=bucket, MaxKeys=1)
            except ClientError as error:
                if error_code(error) in TOKEN_ENDED:
                    return True
                # AWS has a code for it, so that there AccessDenied is about rights.
                if error_code(error) != "AccessDenied" or destination.endpoint_url is None:
                    return False
            except (BotoCoreError, OSError, CredentialsUnavailable):
                return False
            else:
                return False
        return True


@cache
def _failures() -> tuple[type[Exception], ...]:
    """The exceptions of botocore, aiohttp and the credentials."""
    # Loaded with the first call already.
    from aiohttp import ClientError as BrokenAnswer

    return ClientError, BotoCoreError, BrokenAnswer, OSError, TimeoutError, CredentialsUnavailable


_ENDED: Final = CredentialsUnavailable(
    "the store says that the session token has ended", ended=True
)


def _client_key(destination: Destination) -> _ClientKey:
    return destination.endpoint_url, destination.region, destination.addressing_style


@asynccontextmanager
async def open_buckets(
    chain: CredentialChain, destinations: Iterable[Destination]
) -> AsyncIterator[Buckets]:
    """Ways to ask the buckets of all destinations, each opened at its first use."""
    asking = SingleFlight()
    async with AsyncExitStack() as stack:
        try:
            yield Buckets(chain, tuple(destinations), asking, stack)
        finally:
            await asking.drain()


@asynccontextmanager
async def translated(bucket: str) -> AsyncIterator[None]:
    """Turn what botocore and aiohttp raise into BucketRefused, BucketUnavailable or
    SigningUnavailable.
    """
    try:
        yield
    except _failures() as error:
        raise _problem(bucket, error) from error


def _problem(
    bucket: str, error: Exception
) -> BucketRefused | BucketUnavailable | SigningUnavailable:
    if isinstance(error, CredentialsUnavailable):
        return error.as_problem()
    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        return CredentialsUnavailable(str(error)).as_problem()
    if not isinstance(error, ClientError):
        return BucketUnavailable(
            f"The bucket {bucket} did not answer; try again in a moment.", retry_after=RETRY_AFTER
        )
    if error_code(error) in TOKEN_ENDED:
        return _ENDED.as_problem()
    if (refused := refusal(bucket, error)) is not None:
        return refused
    status = error_status(error)
    if status == 404 or 300 <= status < 400:
        return BucketRefused(
            f"The bucket {bucket} is not at the configured endpoint and region: correct the "
            "settings, or make it with `claimcheck bucket apply`."
        )
    return BucketUnavailable(
        f"The bucket {bucket} answered with an error; try again in a moment.",
        retry_after=RETRY_AFTER,
    )


async def head_bucket(client: Any, bucket: str) -> Any:
    """The answer to HeadBucket. Raises ClientError."""
    try:
        return await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) == "403":
            await explain(client, bucket, error)
        raise
    except HTTPClientError:
        # OpenStack Swift sends a body with the 404 to a HEAD (RFC 9110, section 9.3.2: it must
        # not), which aiohttp takes for a broken answer.
        return await client.list_objects_v2(Bucket=bucket, MaxKeys=1)


async def explain(client: Any, bucket: str, refusal: ClientError) -> None:
    """Raise a ClientError that has a code in place of the 403 to a HEAD, whose answer has no body.

    Nothing is raised if the store refuses nothing else.
    """
    try:
        await client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as told:
        raise told from refusal


def error_code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def error_status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
