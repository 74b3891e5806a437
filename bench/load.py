"""Load from wrk: fixed requests over 32 connections, for seconds at a time, side by side."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.servers import BenchError, Server, tree_cpu_seconds

CONNECTIONS: Final = 32
MAX_SECONDS: Final = 8

# Requests are formatted once. `done` prints one line that starts with a mark of its own.
_SCRIPT: Final = """
local requests, turn = {}, 0
function init(args)
  local paths, tokens, bodies = {}, {}, {}
  for body in io.lines(args[2]) do bodies[#bodies + 1] = body end
  if #bodies > 0 then wrk.headers["Content-Type"] = "application/json" end
  for path in io.lines(args[3]) do paths[#paths + 1] = path end
  for token in io.lines(args[4]) do tokens[#tokens + 1] = token end
  for n = 0, math.max(#paths, #tokens, #bodies) - 1 do
    if #tokens > 0 then
      wrk.headers["Authorization"] = "Bearer " .. tokens[n % #tokens + 1]
    end
    local body = bodies[n % #bodies + 1]
    requests[#requests + 1] = wrk.format(args[1], paths[n % #paths + 1], nil, body)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '\\nBENCH {"requests": %d, "micros": %d, "p50": %d, "p99": %d, "status": %d, "lost": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Case:
    """Requests to send to a server, in turn, each with one of the `bodies` (JSON), if any.

    Each carries one of the `tokens`, where there are any, as its bearer, and the `cookie`.
    `before` prepares each run. `check` verifies it, given the number of requests that were
    answered (up to `connections` more may have been under way), and raises BenchError if they did
    not do what they are for.
    """

    name: str
    server: Server
    paths: Sequence[str]
    method: str = "GET"
    bodies: Sequence[Any] = ()
    connections: int = CONNECTIONS
    tokens: Sequence[str] = ()
    cookie: str | None = None
    before: Callable[[], None] | None = None
    check: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Load:
    """The figures of a case: medians of its runs.

    `rate` is requests a second, `p50` and `p99` milliseconds; `cpu` and `database_cpu` are
    processor microseconds that the server and PostgreSQL spent on one request. `memory` is the most
    that the server was seen to have resident in any run, in MiB.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    database_cpu: float
    memory: float = 0.0
    rates: list[float] = field(default_factory=list)


def require_wrk() -> None:
    """Raises BenchError where wrk is missing."""
    if shutil.which("wrk") is None:
        raise BenchError("wrk is not installed: apt-get install wrk (it sends the load).")


def compare(
    cases: Iterable[Case], *, rounds: int, seconds: int, database_pid: int
) -> dict[str, Load]:
    """Run the cases in turn, round after round, so that a noisy moment hits all of them.

    Raises BenchError if a server answers with an error.
    """
    cases = list(cases)
    runs: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    for turn in range(rounds + 1):
        for case in cases:
            # The first turn warms up: pools, caches, prepared statements.
            length = seconds if turn else 1
            run = _run(case, length, database_pid)
            if turn:
                runs[case.name].append(run)
    return {name: _summary(found) for name, found in runs.items()}


def _summary(runs: list[dict[str, float]]) -> Load:
    def middle(name: str) -> float:
        return statistics.median(run[name] for run in runs)

    requests = max(1, sum(run["requests"] for run in runs))
    return Load(
        rate=middle("rate"),
        p50=middle("p50") / 1000,
        p99=middle("p99") / 1000,
        cpu=sum(run["cpu"] for run in runs) / requests * 1e6,
        database_cpu=sum(run["database_cpu"] for run in runs) / requests * 1e6,
        memory=max(run["memory"] for run in runs),
        rates=[round(run["rate"], 1) for run in runs],
    )


def _run(case: Case, seconds: int, database_pid: int) -> dict[str, float]:
    assert seconds <= MAX_SECONDS
    if case.before:
        case.before()
    cpu, database_cpu = case.server.cpu_seconds(), tree_cpu_seconds(database_pid)
    with _watched(case.server) as seen:
        said = _wrk(case, seconds)
    said["memory"] = max(seen)
    said["cpu"] = case.server.cpu_seconds() - cpu
    said["database_cpu"] = tree_cpu_seconds(database_pid) - database_cpu
    said["rate"] = said["requests"] / said["micros"] * 1e6
    if said["status"]:
        raise BenchError(f"{case.name}: {said['status']} errors, the first: {_first_error(case)}")
    if said["lost"]:
        raise BenchError(
            f"{case.name}: {said['lost']:.0f} requests were lost on the way: the server closed "
            f"connections, or took longer than {MAX_SECONDS} s."
        )
    if not said["requests"]:
        raise BenchError(f"{case.name}: no request was answered in {seconds} s.")
    _settle(case.server)
    if case.check:
        case.check(int(said["requests"]))
    return said


@contextmanager
def _watched(server: Server) -> Iterator[list[float]]:
    """The server's resident memory (MiB), looked at ten times a second."""
    seen, over = [server.memory_mib()], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen.append(server.memory_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _settle(server: Server) -> None:
    """Wait until the server has done with requests that wrk left behind: the core is shared."""
    for _ in range(200):
        spent = server.cpu_seconds()
        time.sleep(0.05)
        if server.cpu_seconds() - spent < 0.01:
            return
    raise BenchError(f"{server.url} is still busy ten seconds after its load ended.")


def _wrk(case: Case, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="claimcheck-bench-") as scratch:
        script, paths, tokens, bodies = (
            Path(scratch, name) for name in ("load.lua", "paths", "tokens", "bodies")
        )
        script.write_text(_SCRIPT)
        paths.write_text("".join(f"{path}\n" for path in case.paths))
        tokens.write_text("".join(f"{token}\n" for token in case.tokens))
        bodies.write_text("".join(f"{json.dumps(body)}\n" for body in case.bodies))
        result = subprocess.run(  # noqa: S603
            [
                *("wrk", "--threads", "1", "--connections", str(case.connections)),
                *("--duration", f"{seconds}s", "--timeout", f"{MAX_SECONDS}s"),
                *(("--header", f"Cookie: {case.cookie}") if case.cookie else ()),
                *("--script", script, case.server.url, "--"),
                *(case.method, bodies, paths, tokens),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
    line = next((x for x in result.stdout.splitlines() if x.startswith("BENCH ")), None)
    if line is None:
        raise BenchError(f"wrk failed on {case.name}:\n{result.stdout}{result.stderr}")
    said: dict[str, float] = json.loads(line.removeprefix("BENCH "))
    return said


def _first_error(case: Case) -> str:
    status, text = ask(case)
    return f"none when asked once ({status})" if status < 400 else f"{status} {text[:2000]}"


def ask(case: Case) -> tuple[int, str]:
    """Status and body of the first of the case's requests, sent once."""
    headers = {"Content-Type": "application/json"}
    if case.tokens:
        headers["Authorization"] = f"Bearer {case.tokens[0]}"
    if case.cookie:
        headers["Cookie"] = case.cookie
    request = urllib.request.Request(  # noqa: S310 (always our own loopback URL)
        case.server.url + case.paths[0],
        json.dumps(case.bodies[0]).encode() if case.bodies else None,
        headers,
        method=case.method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
