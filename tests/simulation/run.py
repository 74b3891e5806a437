"""Lives seeds, and says what was wrong with each."""

import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.database import Server, simulated_server
from tests.simulation.loop import SimLoop
from tests.simulation.plan import Plan, draw
from tests.simulation.shrink import shrink
from tests.simulation.world import World

_clock: Final = time.perf_counter
# Errors that the service logs by design, where another machine fails.
_EXPECTED: Final = frozenset({"request_failed", "credentials_ended"})


@dataclass(frozen=True)
class Outcome:
    """The outcome of one seed; `failures` is empty where all was well."""

    seed: int
    failures: list[str]
    lines: list[str] = field(repr=False)
    seams: int
    seconds: float
    virtual: float
    # The plan's items that were left out, and the tries that it took to find them.
    left_out: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The failure in words, without names and numbers."""
        return re.sub(r"[\d.]+|'[^']*'", "", self.failures[0])[:200] if self.failures else ""


class Runner:
    """A loop and a server, on which seeds are lived one after the other."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def live(self, plan: Plan, echo: Callable[[str], None] | None = None) -> Outcome:
        began = _clock()
        world = World(plan, self.server, echo)
        failures = world.failures
        try:
            world.run(world.life())
        except Exception as error:
            failures.append(f"the world broke: {error!r}")
        for name, level, event, fields in world.logged:
            if level == "error" and event not in _EXPECTED:
                cause = str(fields.get("traceback", fields)).strip().splitlines()[-1]
                failures.append(f"{name} logs {event}: {cause}")
        return Outcome(
            *(plan.seed, failures, world.story.lines, world.seams, _clock() - began),
            world.loop.time(),
            tuple(sorted(plan.left_out)),
        )

    def shrunk(self, outcome: Outcome, seconds: float = 600.0) -> Outcome:
        """The failure with as little as it needs, as far as that is found in so many seconds."""
        smallest, plan, until = outcome, draw(outcome.seed), _clock() + seconds

        def fails(left_out: Sequence[str]) -> bool:
            nonlocal smallest
            if _clock() > until:
                return False
            found = self.live(plan.without(left_out))
            if found.kind != outcome.kind:
                return False
            smallest = found
            return True

        shrink(plan.items(), fails)
        return smallest


@contextmanager
def runner() -> Iterator[Runner]:
    """A server of its own, and a loop."""
    loop = SimLoop()
    with simulated_server(loop) as server:
        # What is loaded stays: it need not be looked through after each life.
        gc.collect()
        gc.freeze()
        yield Runner(server)
    loop.close()
