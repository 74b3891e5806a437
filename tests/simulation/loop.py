"""An event loop whose time is virtual, and in which one statement at a time is real.

When no callback is ready, the loop waits for the statement that is under way, while time stands
still, or else goes on to the next timer. While callbacks are ready nothing real is looked at, so
nothing depends on how fast this machine is today. What goes on next is decided by latencies alone,
and those are drawn from the seed.
"""

import asyncio
import select
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, Protocol

# The true clock: the module's own is patched while a world lives.
_real_time: Final = time.monotonic
# Real seconds: after so many without an answer a statement is asked about; after so many it is lost
# to a fault of the simulation itself.
_ASK_AFTER: Final = 0.004
_GIVE_UP_AFTER: Final = 30.0


class Owner(Protocol):
    """Whose tasks and statements they are: a process of the service."""

    dead: bool

    def adopt(self, task: asyncio.Task[Any]) -> None: ...


# None: the world itself, its clients and its store.
owner: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class Stuck(BaseException):
    """Nothing can go on any more, or a statement never answers."""


class Statement:
    """One real statement of a connection: under way, parked behind another's lock, or waiting for
    its turn. `ended_by` says what ended it before its time: `deadlock`, `lock_timeout`, `stop`.
    """

    __slots__ = ("ended_by", "fd", "name", "pid")

    def __init__(self, pid: int | None, fd: int | None, name: str) -> None:
        self.pid, self.fd, self.name = pid, fd, name
        self.ended_by: str | None = None


class _Task(asyncio.Task[Any]):
    """A task whose place in a set is the same in each run: asyncio keeps sets of them."""

    _made = 0

    def __init__(self, *args: Any, **named: Any) -> None:
        _Task._made += 1
        self._number = _Task._made
        super().__init__(*args, **named)

    def __hash__(self) -> int:
        return self._number

    __eq__ = object.__eq__


class _Selector(selectors.BaseSelector):
    """Gives the loop nothing while it has callbacks; then the statement's answer, or time."""

    def __init__(self, loop: "SimLoop") -> None:
        self._loop = loop
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd < 0:  # closed already
            fd = next(f for f, key in self._keys.items() if key.fileobj is fileobj)
        return self._keys.pop(fd)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return _ByFile(self._keys)

    def close(self) -> None:
        self._keys.clear()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if loop.has_ready():
            return []
        if loop.active is not None:
            return self._answer(loop.active)
        loop.advance(timeout)
        return []

    def _answer(self, statement: Statement) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the statement; if it waits for another's lock, have it parked."""
        began = _real_time()
        while True:
            found = self._look(statement, _ASK_AFTER)
            if found:
                return found
            waited = _real_time() - began
            if self._loop.park_if_blocked(statement):
                return []
            if waited > _GIVE_UP_AFTER:
                raise Stuck(f"{statement.name} never answered")

    def _look(
        self, statement: Statement, seconds: float
    ) -> list[tuple[selectors.SelectorKey, int]]:
        poll = select.poll()
        # While it connects, its socket is not known yet, nor that of its end.
        fds = [statement.fd] if statement.fd is not None else self._loop.unknown(self._keys)
        for fd in fds:
            key = self._keys.get(fd)
            if key is not None:
                poll.register(fd, _to_poll(key.events))
        found = []
        for fd, event in poll.poll(seconds * 1000):
            key = self._keys[fd]
            events = 0
            if event & ~select.POLLIN:
                events |= selectors.EVENT_WRITE
            if event & ~select.POLLOUT:
                events |= selectors.EVENT_READ
            if events & key.events:
                found.append((key, events & key.events))
        return found


class _ByFile(Mapping[Any, selectors.SelectorKey]):
    def __init__(self, keys: dict[int, selectors.SelectorKey]) -> None:
        self._keys = keys

    def __getitem__(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys[fileobj if isinstance(fileobj, int) else fileobj.fileno()]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Any:
        return iter(self._keys)


def _is_circle(pid: int, waits: Mapping[int, list[int]]) -> bool:
    """Whether whoever this one waits for waits for it."""
    seen: set[int] = set()
    ahead = list(waits[pid])
    while ahead:
        other = ahead.pop()
        if other == pid:
            return True
        if other not in seen:
            seen.add(other)
            ahead += waits.get(other, [])
    return False


def _to_poll(events: int) -> int:
    wanted = select.POLLIN if events & selectors.EVENT_READ else 0
    return wanted | (select.POLLOUT if events & selectors.EVENT_WRITE else 0)


class SimLoop(asyncio.SelectorEventLoop):
    """The loop of a world, and of the worlds after it: connections stay open between them.

    `blockers` says which of some server processes wait for a lock, and for whom; `cancel` ends what
    one is at. The database gives them.
    """

    def __init__(self) -> None:
        self._virtual = 0.0
        self.active: Statement | None = None
        self.parked: list[Statement] = []
        self._turns: deque[tuple[Statement, asyncio.Future[None]]] = deque()
        self.blockers: Callable[[list[int]], dict[int, list[int]]] = lambda _: {}
        self.cancel: Callable[[int], None] = lambda _: None
        self.idle_fds: set[int] = set()
        self.statements = 0
        super().__init__(_Selector(self))
        self._clock_resolution = 1e-9
        self.set_task_factory(_make_task)
        self.set_exception_handler(_ignore_the_dead)

    # Time.

    def time(self) -> float:
        """Virtual seconds since this world began."""
        return self._virtual

    def has_ready(self) -> bool:
        return bool(self._ready) or self._stopping  # type: ignore[attr-defined]

    def advance(self, timeout: float | None) -> None:
        """Go to the next timer. Raises Stuck where there is none."""
        if timeout is None:
            raise Stuck("nothing can go on: no timer, no statement")
        timers = self._scheduled  # type: ignore[attr-defined]
        if timers:
            self._virtual = max(self._virtual, timers[0].when())

    def begin_anew(self) -> None:
        """Forget the last world: time is 0 again."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self._timer_cancelled_count = 0
        self._virtual, self.statements = 0.0, 0
        self.active = None
        self.parked.clear()
        self._turns.clear()
        _Task._made = 0

    # Statements: one at a time, but for those that wait for another's lock.

    async def begin(self, statement: Statement) -> None:
        """Wait for the turn of this statement; `end` must follow."""
        self.statements += 1
        if self.active is None and not self._turns:
            self.active = statement
            return
        turn = self.create_future()
        self._turns.append((statement, turn))
        try:
            await turn
        except BaseException:
            if self.active is statement:
                self.end(statement)
            else:
                self._turns = deque(each for each in self._turns if each[0] is not statement)
            raise

    def end(self, statement: Statement) -> None:
        """It has answered: those that waited for its locks go on, in their order, then others."""
        if self.active is statement:
            self.active = None
            self.go_on()
        elif statement in self.parked:
            self.parked.remove(statement)

    def go_on(self) -> None:
        """Let the next statement be under way; call it also where locks were released otherwise."""
        if self.active is not None:
            return
        if self.parked:
            blocked = self.blockers([p.pid for p in self.parked if p.pid is not None])
            for statement in self.parked:
                # One that was ended early may not know of it yet.
                if statement.pid not in blocked or statement.ended_by is not None:
                    self.parked.remove(statement)
                    self.active = statement
                    return
        self._next_turn()

    def _next_turn(self) -> None:
        while self._turns:
            statement, turn = self._turns.popleft()
            if not turn.done():
                self.active = statement
                turn.set_result(None)
                return

    def park_if_blocked(self, statement: Statement) -> bool:
        """If it waits for another's lock, let others go on; not where all wait for each other."""
        pid = statement.pid
        if pid is None:
            return False
        waits = self.blockers([pid, *(p.pid for p in self.parked if p.pid is not None)])
        if pid not in waits:
            return False
        if statement.ended_by is not None:
            self.cancel(pid)
            return False
        if _is_circle(pid, waits):
            self._end_early(statement, "deadlock")
            return False
        self.parked.append(statement)
        self.active = None
        # Not those that are parked: none of them can go on by another's waiting.
        self._next_turn()
        return self.active is not statement

    def _end_early(self, statement: Statement, why: str) -> None:
        statement.ended_by = why
        assert statement.pid is not None
        self.cancel(statement.pid)

    def time_out(self, statement: Statement) -> None:
        """It has waited for a lock as long as it may."""
        self.interrupt(statement, "lock_timeout")

    def interrupt(self, statement: Statement, why: str = "stop") -> None:
        """End it where it waits for a lock, or where it will."""
        if statement in self.parked:
            self._end_early(statement, why)
            self.go_on()
        elif why == "stop":
            statement.ended_by = why

    def unknown(self, keys: Mapping[int, Any]) -> list[int]:
        """The sockets that are no known connection's: of one that is being made."""
        return [fd for fd in keys if fd not in self.idle_fds]

    # Threads: none.

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:
            future.set_exception(error)
        return future

    def outside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that is no process's, whoever begins it: it outlives them."""
        context = copy_context()
        context.run(owner.set, None)
        return self.create_task(work, context=context)


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any],
    *,
    context: Context | None = None,
) -> asyncio.Task[Any]:
    task = _Task(work, loop=loop, context=context)
    whose = owner.get() if context is None else context.get(owner)
    if whose is not None:
        whose.adopt(task)
    return task


def _ignore_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """How the tasks of a dead process end interests nobody."""
    error = context.get("exception")
    if error is None or isinstance(error, asyncio.CancelledError):
        return
    if type(error).__name__ not in {"Dead", "BaseExceptionGroup"}:
        loop.default_exception_handler(context)
