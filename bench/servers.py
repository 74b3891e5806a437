"""Processes: pinned to their core, on loopback, stopped by their own id.

The process under test has the first core to itself. Everything else, this one included, stays on
the second: the load generator, PostgreSQL, the S3 store. Linux only (`sched_setaffinity`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.stores import free_port

_START_SECONDS: Final = 60
_STILL_MIB: Final = 0.1
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OURS: Final = ("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL")


class BenchError(Exception):
    """The benchmark cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Cores:
    """Processor numbers: one for what is measured, one for what measures it."""

    service: int
    rest: int

    @classmethod
    def take(cls) -> Cores:
        """Choose two cores and move this process, with all it will start, to the second."""
        free = sorted(os.sched_getaffinity(0))
        if len(free) < 2:
            raise BenchError("The benchmark needs two processor cores: one would measure itself.")
        cores = cls(free[0], free[1])
        os.sched_setaffinity(0, {cores.rest})
        return cores


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP; `started_in` is seconds from its start to its first answer."""

    url: str
    pid: int
    started_in: float
    log: Path

    def cpu_seconds(self) -> float:
        return tree_cpu_seconds(self.pid)

    def cpu_of_children(self) -> dict[int, float]:
        """Processor time of each process below this one so far, in seconds, by its id."""
        return {pid: _own_cpu_seconds(pid) for pid in _tree(self.pid)[1:]}

    def memory_mib(self) -> float:
        """Resident memory of the process and its children, in MiB."""
        return sum(_resident(pid) for pid in _tree(self.pid)) / 2**20

    def shared_mib(self, processes: int = 1) -> float:
        """Memory of these many processes, each page divided by those that share it (PSS in
        proc_pid_smaps(5)), in MiB: once all are there and it does not change any more.
        """
        before = -1.0
        for _ in range(2 * _START_SECONDS):
            pids = _tree(self.pid)
            now = sum(_shared(pid) for pid in pids) / 2**20
            if len(pids) == processes and abs(now - before) < _STILL_MIB:
                return now
            before = now
            time.sleep(0.5)
        raise BenchError(f"There are not {processes} idle processes:\n{_tail(self.log)}")


# The command of a deployment.
SERVE: Final = (sys.executable, "-m", "app.cli", "serve")


@contextmanager
def serve(
    command: Sequence[str | Path],
    *,
    cores: set[int],
    environ: Mapping[str, str],
    log: Path,
    probe: str = "/livez",
    directory: Path | None = None,
) -> Iterator[Server]:
    """Run a server; `{port}` in its command becomes a free one. It is stopped at the end.

    Any HTTP status at `probe` counts as an answer. Raises BenchError if none comes in a minute.
    """
    port = free_port()
    with log.open("ab") as output:
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            [str(word).replace("{port}", str(port)) for word in command],
            env=inherited_environ({**environ, "PORT": str(port)}),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_pinned_to(cores),  # noqa: PLW1509 (this process has one thread)
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url + probe):
            if process.poll() is not None or time.perf_counter() - start > _START_SECONDS:
                raise BenchError(f"{process.args!r} did not start:\n{_tail(log)}")
            time.sleep(0.005)
        yield Server(url, process.pid, time.perf_counter() - start, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # Its own session: the group is this server and its workers, nobody else's process.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def inherited_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its settings of the service, and `environ` on top."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, **environ}


def uvicorn(factory: str, workers: int = 1, loop: str = "auto") -> list[str | Path]:
    """uvicorn with `module:factory`, as `claimcheck serve` sets it up."""
    return [
        *(sys.executable, "-m", "uvicorn", factory, "--factory", "--host", "127.0.0.1"),
        *("--port", "{port}", "--workers", str(workers), "--no-access-log"),
        *("--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
        *("--loop", loop),
    ]


@contextmanager
def durable_postgres() -> Iterator[tuple[str, int]]:
    """PostgreSQL that keeps what it commits: its DSN, and the id of the process above it."""
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "bench.durable_postgres"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        try:
            line = supervisor.stdout.readline().strip()
            if not line.startswith("postgresql://"):
                raise BenchError(f"PostgreSQL did not start: {line} {supervisor.stdout.read()}")
            yield line, supervisor.pid
        finally:
            supervisor.stdin.close()


def tree_cpu_seconds(pid: int) -> float:
    """User and system time of a process, its living descendants, and those they waited for."""
    return sum(
        _own_cpu_seconds(one) + sum(map(int, _stat(one)[13:15])) / _TICKS for one in _tree(pid)
    )


def _own_cpu_seconds(pid: int) -> float:
    """Processor time of the process alone, by its clock, which is finer than the ticks in /proc.

    0 if the process ended. The clock's id is made as clock_getcpuclockid(3) makes it.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _tree(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            parents[int(entry.name)] = int(stat[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); zeros if the process ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 50


def _resident(pid: int) -> int:
    return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE")


def _shared(pid: int) -> int:
    """The process's share of memory, in bytes; 0 if it ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _pinned_to(cores: set[int]) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, cores)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (always our own loopback URL)
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
