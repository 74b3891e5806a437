"""Faults: at which seam something goes wrong, and how. Whoever draws a plan lists them.

A seam is a place where the service, or a client, waits for another machine: a call of the store, a
statement, a commit, a request, a webhook. What happens there happens at one moment between two
latencies; a fault keeps it from happening, or its answer from arriving.
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from app.embedded.s3_error import S3Error

if TYPE_CHECKING:
    from tests.simulation.engine import Engine
    from tests.simulation.process import Process

# Seconds one way, usually.
USUAL: Final = {
    "database": 0.0008,
    "commit": 0.0015,
    "store": 0.015,
    "webhook": 0.04,
    "browser": 0.03,
}
# Statements are many, and their network is a good one: fewer of them are lost for no reason.
_STEADY: Final = frozenset({"database", "commit"})
_STATUS: Final = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "RequestTimeout": 400,
    "AccessDenied": 403,
    "ExpiredToken": 400,
    "RequestTimeTooSkewed": 403,
}

Outcome = Literal["before", "after", "late", "kill_before", "kill_after"]


class Dead(BaseException):
    """A process that was killed tried to go on; nobody hears of it."""


class ByCode(Exception):
    """The other side answers with an error of its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Seam:
    """One passage: `number` counts those of this process and kind, from 1."""

    process: str
    kind: str
    name: str
    number: int


@dataclass(frozen=True)
class Fault:
    """At the `at`-th passage that fits from `start` on (a virtual second), and at `times` in all;
    where `until` is given, at each one up to then, with probability `odds`.

    `before`: it fails before it took effect; `after`: it took effect, and its answer is lost;
    `late`: it takes effect after so many `seconds`; `kill_before` and `kill_after`: the process
    dies there, and is started again after `seconds`, if they are not 0; `silent`: its machine is
    gone, and nobody tells the database that its connections are, too. With a `code`, `before` is
    an error by which the other side refuses, after so many `seconds`: of S3, or an SQLSTATE.
    """

    outcome: Outcome
    kind: str
    process: str = ""  # any
    name: str = ""  # or its beginning; any
    at: int = 1
    times: int = 1
    start: float = 0.0
    until: float | None = None
    odds: float = 1.0
    seconds: float = 0.0
    code: str = ""
    silent: bool = False

    def fits(self, seam: Seam) -> bool:
        return (
            self.kind == seam.kind
            and self.process in ("", seam.process)
            and seam.name.startswith(self.name)
        )

    def __str__(self) -> str:
        when = f"from second {self.start:g}" if self.start else "from the beginning"
        until = "" if self.until is None else f" to {self.until:g}, with odds of {self.odds:g}"
        which = "each" if self.until is not None else f"number {self.at}"
        name = f"{self.kind} {self.name}".strip()
        code = f" by {self.code}" if self.code else ""
        return (
            f"{self.outcome}{code} at {name} of {self.process or 'anyone'}, {which} {when}{until}"
        )


@dataclass
class Faults:
    """The faults of a world, and how often each was met."""

    faults: list[Fault] = field(default_factory=list)
    on: bool = True

    def __post_init__(self) -> None:
        self._met: Counter[int] = Counter()
        self._numbers: Counter[tuple[str, str]] = Counter()

    def seam(self, process: str, kind: str, name: str) -> Seam:
        self._numbers[process, kind] += 1
        return Seam(process, kind, name, self._numbers[process, kind])

    def at(self, seam: Seam, now: float, happens: Callable[[float], bool]) -> Fault | None:
        """The fault that this passage meets."""
        if not self.on:
            return None
        for index, fault in enumerate(self.faults):
            if now < fault.start or not fault.fits(seam):
                continue
            if fault.until is not None:
                if now < fault.until and happens(fault.odds):
                    return fault
                continue
            self._met[index] += 1
            if fault.at <= self._met[index] < fault.at + fault.times:
                return fault
        return None


async def pass_seam(
    engine: "Engine",
    process: "Process | None",
    kind: str,
    name: str,
    effect: Callable[[], Any],
    who: str = "",
) -> Any:
    """Do `effect`, at once or to be awaited, between two latencies, unless a fault is there.

    `who` passes where it is no process. Raises ConnectionRefusedError, ConnectionResetError, ByCode
    (S3Error of a store), whatever the effect raises, or Dead. A call that has left for the store
    takes effect whatever becomes of its process.
    """
    whose = process.name if process is not None else who
    chance = engine.latencies(whose, kind)
    seam = engine.faults.seam(whose, kind, name)
    fault = engine.faults.at(seam, engine.loop.time(), chance.happens)
    engine.seams += 1
    if fault is not None:
        engine.story.tell(whose, f"meets a fault: {fault.outcome} {fault.code}".strip(), at=name)
        if fault.outcome in ("kill_before", "kill_after") and process is None:
            fault = None
    _require_life(process, kind)
    usual = USUAL[kind]
    there, back = (chance.latency(usual, steady=kind in _STEADY) for _ in range(2))
    if fault is not None and fault.outcome in ("late", "before"):
        there += fault.seconds
    await asyncio.sleep(there)
    _require_life(process, kind)
    if fault is not None and fault.outcome == "kill_before":
        await _die(engine, process, fault)
    if fault is not None and fault.outcome == "before":
        await asyncio.sleep(back)
        _require_life(process, kind)
        if not fault.code:
            raise ConnectionRefusedError("refused by a fault")
        if kind == "store":
            raise S3Error(_STATUS.get(fault.code, 400), fault.code, "A fault.")
        raise ByCode(fault.code)
    error: Exception | None = None
    done = None
    try:
        done = effect()
        if inspect.isawaitable(done):
            done = await done
    except Exception as raised:
        error = raised
    if fault is not None and fault.outcome == "kill_after":
        await _die(engine, process, fault)
    _require_life(process, kind)
    # Also an error has its way back.
    await asyncio.sleep(back)
    _require_life(process, kind)
    if fault is not None and fault.outcome == "after":
        raise ConnectionResetError("the answer was lost by a fault")
    if error is not None:
        raise error
    return done


def _require_life(process: "Process | None", kind: str) -> None:
    if process is not None and process.dead and kind != "store":
        raise Dead


async def _die(engine: "Engine", process: "Process | None", fault: Fault) -> None:
    """The process is killed, and this place in it is left only as its task is taken away."""
    assert process is not None
    process.kill(fault.seconds, silent=fault.silent)
    await engine.loop.create_future()
