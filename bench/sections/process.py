"""The process itself: its start, its memory, its event loop, and what a second worker adds."""

from __future__ import annotations

import json
import statistics
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from bench import rows
from bench.load import Case
from bench.peers.installed import PeerMissing
from bench.sections.reading import BATCHES, MANY, batches, many_pages
from bench.sections.uploads import announcing, without_problem
from bench.servers import Server
from bench.stack import Stack


def start_and_memory(stack: Stack) -> None:
    """From the start of the process to its first answer, and memory then.

    Under load it is watched in every section.
    """
    start, memory = "start to first answer", "memory of one worker"
    peers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        "claimcheck": stack.service,
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


def pauses(stack: Stack) -> None:
    """How late the event loop wakes a probe under load, over 32 connections."""
    section = "event loop"
    endpoint = stack.settings.destinations["images"].stored_endpoint
    stack.query(partial(rows.fill, first=1, last=MANY * BATCHES, endpoint=endpoint))
    with stack.service("bench.probed:create_app") as server:

        def ask() -> dict[str, Any]:
            with urllib.request.urlopen(f"{server.url}/bench/pauses", timeout=30) as answer:  # noqa: S310
                said: dict[str, Any] = json.load(answer)
                return said

        idle = ask()
        loads = {}
        for case in (
            Case("list of 100", server, many_pages(stack)),
            without_problem(
                Case("presign", server, ["/v1/files/presign"], "POST", batches(stack, BATCHES))
            ),
            announcing("announce", server, stack),
        ):
            # The warm-up round's pauses are thrown away: those of the first request are not load.
            stack.measure("event loop, load", [case])
            ask()
            stack.measure("event loop, load", [case])
            loads[case.name] = ask()
    stack.query(rows.empty)
    loaded = loads.pop("announce")
    add = stack.results.add
    add(section, "longest pause", loaded["max"], "ms")
    add(section, "processor time in the longest-running pause", loaded["max_cpu"], "ms")
    add(section, "99 % of pauses are under", loaded["p99"], "ms")
    add(section, "half of pauses are under", loaded["p50"], "ms")
    add(section, "longest garbage collection", loaded["gc"], "ms")
    add(section, "longest pause when idle", idle["max"], "ms")
    for name, other in loads.items():
        add(section, f"longest pause, {name}", other["max"], "ms")
        add(section, f"99 % of pauses are under, {name}", other["p99"], "ms")


def workers(stack: Stack) -> None:
    """Announce on one worker with a core of its own, and on two that share both cores with all."""
    section = "workers"
    for count in (1, 2):
        with stack.service(workers=count) as server:
            stack.measure(
                section, [announcing(f"{count} worker{'s' * (count > 1)}", server, stack)]
            )
