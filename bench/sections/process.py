"""The process itself: its start, its memory, and what a second worker adds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final

import httpx

from bench.bucket import PICTURE
from bench.builds import WORKING_TREE, Build, create_key
from bench.outside import Site
from bench.peers.installed import PeerMissing
from bench.results import MEMORY, MORE, START, USED
from bench.sections.uploads import ANNOUNCEMENT, PARAMS, announcing
from bench.servers import BenchError, Server
from bench.stack import Stack

# Its letters are written in those of a key, and in another way in a link.
_GREEK: Final = "Διακοπές στην Προβηγκία.png"
# It is sent in parts.
_LARGE: Final = {
    "destination": "videos",
    "filename": "Holiday in Provence 2026.mp4",
    "content_type": "video/mp4",
    "size": 1 << 30,
}
# Seconds of processor time by which a worker is known to have been used.
_SPENT: Final = 0.02
_ROUNDS: Final = 50


def start_and_memory(stack: Stack) -> None:
    """From the start of the process to its first answer, and memory then, and once it was used; the
    service and its peers are started in turn. What more workers add.

    The service is started as deployments start it. Under load memory is watched in every section.
    """
    key = create_key(Build(WORKING_TREE, stack.environ))
    client = httpx.Client(trust_env=False, timeout=30)

    def use(server: Server) -> None:
        _use(Site(server, key, client))

    def use_companion(server: Server) -> None:
        client.get(server.url + PARAMS).raise_for_status()
        file = {"filename": _LARGE["filename"], "type": _LARGE["content_type"], "metadata": {}}
        client.post(f"{server.url}/s3/multipart", json=file).raise_for_status()

    peers: dict[str, tuple[Callable[[], AbstractContextManager[Server]], Callable[..., None]]] = {
        "claimcheck": (stack.deployed, use),
        "FastAPI, bare": (stack.bare, lambda _: None),
        "Companion": (stack.companion, use_companion),
        "Django REST": (stack.django, lambda _: None),
    }
    figures: dict[tuple[str, str], list[float]] = {}
    with client:
        for turn in range(stack.plan.starts):
            stack.say(f"start and memory: turn {turn + 1} of {stack.plan.starts}")
            for name, (peer, used) in peers.items():
                try:
                    with peer() as server:
                        figures.setdefault((START, name), []).append(server.started_in * 1000)
                        figures.setdefault((MEMORY, name), []).append(server.memory_mib())
                        used(server)
                        figures.setdefault((USED, name), []).append(server.memory_mib())
                except PeerMissing as missing:
                    stack.results.skipped[name] = str(missing)
    for section, unit in ((START, "ms"), (MEMORY, "MiB"), (USED, "MiB")):
        for name in peers:
            if found := figures.get((section, name)):
                stack.results.add(section, name, statistics.median(found), unit)
        stack.results.compare(section, "claimcheck", *list(peers)[1:])
    _share(stack, key)


def _use(site: Site) -> None:
    """A file's first steps: it is announced, sent, confirmed and listed. Another is announced whose
    name is Greek, and a third that is sent in parts: all that is loaded late was then used.
    """
    announced = site.call("POST", "/v1/uploads", ANNOUNCEMENT | {"size": len(PICTURE)})
    form = announced["upload"]
    file = {"file": ("file", PICTURE)}
    site.client.post(form["url"], data=form["fields"], files=file).raise_for_status()
    site.call("POST", f"/v1/uploads/{announced['id']}/confirm")
    site.call("GET", "/v1/files")
    site.call("POST", "/v1/uploads", ANNOUNCEMENT | {"filename": _GREEK})
    site.call("POST", "/v1/uploads", _LARGE)


def _share(stack: Stack, key: str) -> None:
    """Memory that a second and a third worker add, when they have started, and once all were used:
    what one process loads late, several have from the start.
    """
    started: dict[int, list[float]] = {1: [], 2: [], 3: []}
    used: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for turn in range(stack.plan.starts):
        stack.say(f"workers that share memory: turn {turn + 1} of {stack.plan.starts}")
        for count in started:
            # With several there is the watch, too.
            processes = count + (count > 1)
            with stack.deployed(count) as server:
                started[count].append(server.shared_mib(processes))
                _use_each(server, key, count)
                used[count].append(server.shared_mib(processes))
    for when, found in (("at the start", started), ("once used", used)):
        one, two, three = (statistics.median(each) for each in found.values())
        second = f"the second, and the watch, {when}"
        stack.results.add(MORE, second, two - one, "MiB of PSS")
        stack.results.add(MORE, f"the third, {when}", three - two, "MiB of PSS")


def _use_each(server: Server, key: str, count: int) -> None:
    """Use so many workers, as many at once and each over a connection of its own, until all have
    worked: a free one takes a connection, often the same one of several.

    Raises BenchError if one takes none.
    """
    before = server.cpu_of_children()

    def use(_: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            _use(Site(server, key, client))

    with ThreadPoolExecutor(count) as threads:
        for _ in range(_ROUNDS):
            list(threads.map(use, range(count)))
            spent = server.cpu_of_children()
            if all(spent[pid] - was >= _SPENT for pid, was in before.items()):
                return
    raise BenchError(f"Not all of {count} workers were used: {before}, {spent}")


def workers(stack: Stack) -> None:
    """Announce on one worker with a core of its own, and on two that share both cores with all."""
    section = "workers"
    for count in (1, 2):
        with stack.service(workers=count) as server:
            stack.measure(
                section, [announcing(f"{count} worker{'s' * (count > 1)}", server, stack)]
            )
