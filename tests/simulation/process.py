"""A process of the service: it starts, serves, stops in order, or dies at once."""

import asyncio
import json as json_module
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from app.commands.sweep import work
from app.db.connections import IDLE_SECONDS
from app.main import create_app
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from tests.simulation.loop import owner

if TYPE_CHECKING:
    from tests.simulation.database import SimConnection
    from tests.simulation.engine import Engine

# Turns of the loop in which the tasks of a dead process have to end.
_TURNS: Final = 2000
# Seconds after which a platform starts a process again that has ended.
_RESTART_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Reply:
    """An answer as a client gets it; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json_module.loads(self.body) if self.body else None


class Process:
    """A web process, or a worker, with its own clock, which is `clock_offset` seconds ahead.

    Whatever it does is done in tasks whose context names it (`owner`), so that all of it can end
    at any moment.
    """

    def __init__(
        self,
        engine: "Engine",
        name: str,
        settings: Settings,
        *,
        worker: bool = False,
        clock_offset: float = 0.0,
        every: float = 60.0,
    ) -> None:
        self.engine, self.name, self.settings = engine, name, settings
        self.worker, self.clock_offset, self.every = worker, clock_offset, every
        self.dead = True
        self.connections: list[SimConnection] = []
        self.resources: Resources | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._callers: dict[asyncio.Future[Reply], None] = {}
        self._app: Any = None
        self._stopping = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._burial: asyncio.Task[None] | None = None
        self._accepts = False
        engine.processes[name] = self

    def __str__(self) -> str:
        return self.name

    def clock(self) -> datetime:
        return self.engine.now() + timedelta(seconds=self.clock_offset)

    def step_clock(self, seconds: float) -> None:
        """Set its clock, as somebody does by hand, or as a virtual machine wakes up."""
        self.engine.story.tell(self.name, f"has its clock set by {seconds:g} s")
        self.clock_offset += seconds

    @property
    def running(self) -> bool:
        return not self.dead and self._accepts

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task of this process."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever it interests has heard of it

    def begin(self, doing: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of this process."""
        context = copy_context()
        context.run(owner.set, self)
        return self.engine.loop.create_task(doing, context=context)

    # Its life.

    async def start(self) -> None:
        """Start it with fresh memory; it serves once this has returned."""
        if self._burial is not None:
            await asyncio.shield(self._burial)
        assert self.dead
        self.dead, self._stopping = False, asyncio.Event()
        started = self.engine.loop.create_future()
        self._main = self.begin(self._supervised(started))
        await asyncio.wait({started, self._main}, return_when=asyncio.FIRST_COMPLETED)

    async def _supervised(self, started: "asyncio.Future[None]") -> None:
        """A process that ends by itself is a failure, and is started again by its platform."""
        try:
            await self._live(started)
        except Exception as error:
            said = "".join(traceback.format_exception(error))
            self.engine.logged.append((self.name, "error", "process_ended", {"traceback": said}))
            self.engine.story.tell(self.name, f"ends by itself: {type(error).__name__}")
            self.kill(_RESTART_SECONDS)

    async def _live(self, started: "asyncio.Future[None]") -> None:
        if self.worker:
            async with open_resources(self.settings, clock=self.clock) as resources:
                self.resources, self._accepts = resources, True
                _answer(started, None)
                await work(resources, self._stopping, self.every)
            return
        self._app = create_app(self.settings, clock=self.clock)
        async with self._app.router.lifespan_context(self._app):
            self.resources, self._accepts = self._app.state.resources, True
            _answer(started, None)
            await self._stopping.wait()

    async def stop(self) -> None:
        """As SIGTERM: requests under way are answered, then it ends in order."""
        if self.dead:
            return
        self._accepts = False
        if self._callers:
            await asyncio.wait(set(self._callers))
        self._stopping.set()
        if self._main is not None:
            await asyncio.wait({self._main})
        await self.bury()

    def kill(self, restart_after: float = 0.0, *, silent: bool = False) -> None:
        """As SIGKILL: from this moment on nothing that it does has an effect.

        Its callers' connections are cut. Its own end and are rolled back: at once, or if it is
        `silent` when the database has waited in vain for its next statement.
        """
        if self.dead:
            return
        self.engine.story.tell(self.name, "is killed")
        self.dead, self._accepts, self.resources = True, False, None
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(ConnectionResetError(f"{self.name} died"))
        self._burial = self.engine.loop.outside(self._bury(silent=silent))
        if restart_after:
            self.engine.loop.outside(self._restart(restart_after))

    async def _restart(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.dead:
            self.engine.story.tell(self.name, "is started again")
            await self.start()

    async def bury(self) -> None:
        """See to it that nothing of it is left."""
        if not self.dead:
            self.dead, self._accepts, self.resources = True, False, None
        if self._burial is None or self._burial.done():
            self._burial = self.engine.loop.outside(self._bury())
        await asyncio.shield(self._burial)

    async def _bury(self, *, silent: bool = False) -> None:
        server = self.engine.server
        for connection in list(self.connections):
            raw = connection.lose()
            if silent and raw.in_transaction() and raw.running is None:
                self.engine.loop.call_later(IDLE_SECONDS, server.give_back, raw)
            else:
                await server.give_back(raw)
        for _ in range(_TURNS):
            if not self._tasks:
                return
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)
        raise AssertionError(f"{self.name} does not end: {list(self._tasks)}")

    # What is asked of it.

    async def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        client: str = "client",
        *,
        body: bytes | None = None,
    ) -> Reply:
        """Ask as `client` does, over its network. Raises ConnectionError where there is no answer;
        what was asked goes on if whoever asks is cancelled.
        """
        content = body if body is not None else b"" if json is None else _json(json)
        fields = {"host": "127.0.0.1", "content-length": str(len(content)), **_lower(headers)}
        if json is not None:
            fields.setdefault("content-type", "application/json")

        def effect() -> Awaitable[Reply]:
            if not self.running:
                raise ConnectionRefusedError(f"{self.name} does not run")
            return self._ask(method, path, fields, content)

        reply: Reply = await self.engine.seam(None, "browser", f"{method} {path}", effect, client)
        return reply

    async def call(self, doing: Callable[[Resources], Awaitable[Any]]) -> Any:
        """Do something with its resources, in a task of it: a sweep, a look. Raises ConnectionError
        where it is killed meanwhile.
        """
        resources = self.resources
        if resources is None:
            raise ConnectionRefusedError(f"{self.name} does not run")

        async def run() -> Any:
            return await doing(resources)

        task = self.begin(run())
        await asyncio.wait({task})
        if self.dead or task.cancelled():
            raise ConnectionResetError(f"{self.name} died")
        return task.result()

    async def _ask(
        self, method: str, path: str, fields: Mapping[str, str], content: bytes
    ) -> Reply:
        answer: asyncio.Future[Reply] = self.engine.loop.create_future()
        self._callers[answer] = None
        answer.add_done_callback(lambda _: self._callers.pop(answer, None))
        self.begin(self._serve(method, path, fields, content, answer))
        return await answer

    async def _serve(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        content: bytes,
        answer: "asyncio.Future[Reply]",
    ) -> None:
        at = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": at.path,
            "raw_path": quote(at.path, safe="/%:@").encode(),
            "query_string": at.query.encode(),
            "root_path": "",
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in fields.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        pieces = [{"type": "http.request", "body": content, "more_body": False}]
        status, headers, body = 0, {}, b""

        async def receive() -> Any:
            if pieces:
                return pieces.pop()
            with suppress(Exception):
                await asyncio.wait({answer})
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in message["headers"]}
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    _answer(answer, Reply(status, headers, body))

        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if not answer.done():
                answer.set_exception(ConnectionResetError(f"no answer: {error!r}"))
            raise
        if not answer.done():
            answer.set_exception(ConnectionResetError("no answer"))


def _answer(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _json(value: Any) -> bytes:
    return json_module.dumps(value).encode()


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
