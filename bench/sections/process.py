"""The process itself: its start, its memory, and what a second worker adds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench.peers.installed import PeerMissing
from bench.sections.uploads import announcing
from bench.servers import Server
from bench.stack import Stack


def start_and_memory(stack: Stack) -> None:
    """From the start of the process to its first answer, and memory then; what more workers add.

    The service is started as deployments start it. Under load memory is watched in every section.
    """
    start, memory = "start to first answer", "memory of one worker"
    more = "memory that more workers add"
    peers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        "claimcheck": stack.deployed,
        "FastAPI, bare": stack.bare,
        "Companion": stack.companion,
        "Django REST": stack.django,
    }
    for name, peer in peers.items():
        stack.say(f"start and memory: {name}")
        times, idle = [], []
        try:
            for _ in range(stack.plan.starts):
                with peer() as server:
                    times.append(server.started_in)
                    idle.append(server.memory_mib())
        except PeerMissing as missing:
            stack.results.skipped[name] = str(missing)
            continue
        stack.results.add(start, name, statistics.median(times) * 1000, "ms")
        stack.results.add(memory, name, statistics.median(idle), "MiB")
    stack.results.compare(start, "claimcheck", *list(peers)[1:])
    stack.results.compare(memory, "claimcheck", *list(peers)[1:])
    shared = {}
    for count in (1, 2, 3):
        stack.say(f"start and memory: {count} worker{'s' * (count > 1)}")
        with stack.deployed(count) as server:
            # With several there is the supervisor, too.
            shared[count] = server.shared_mib(count + (count > 1))
    stack.results.add(more, "the second, and the supervisor", shared[2] - shared[1], "MiB of PSS")
    stack.results.add(more, "each further one", shared[3] - shared[2], "MiB of PSS")


def workers(stack: Stack) -> None:
    """Announce on one worker with a core of its own, and on two that share both cores with all."""
    section = "workers"
    for count in (1, 2):
        with stack.service(workers=count) as server:
            stack.measure(
                section, [announcing(f"{count} worker{'s' * (count > 1)}", server, stack)]
            )
