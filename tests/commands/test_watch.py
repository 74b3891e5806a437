"""The watch over workers, with workers that do as a test says."""

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from app.commands import watch
from tests.commands.steps import descendants, parents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several processes need Linux")
# Becomes the watch, as the supervisor does, with shorter times. The first workers are the same
# program as those that the watch starts.
HARNESS: Final = """
import ctypes, json, os, signal, sys
from app.commands import watch

told = json.loads(sys.argv[1])
for name, value in told["times"].items():
    setattr(watch, name, value)
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: inherits orphans, as process 1 does
signal.pthread_sigmask(signal.SIG_BLOCK, watch.SIGNALS)
reads, writes = os.pipe()
os.set_inheritable(writes, True)
for name in told["ignored"]:
    signal.signal(name, signal.SIG_IGN)
given = json.dumps({"listens": told["listens"], "writes": writes})
command = [sys.executable, "-I", "-S", "-c", told["program"], told["folder"]]
environ = os.environ | {"TOLD": given}
first = [
    os.posix_spawn(command[0], [*command, "first"], environ, setsigmask=watch.SIGNALS)
    for _ in range(told["count"])
]
later = told["later"] or [*command, "later"]
folder = told["folder"] + "/metrics"
sys.exit(watch.Watch(first, reads, writes, told["listens"], later, "TOLD", folder).run())
"""
# What a worker knows and can do: `live` until it is told to end.
WORKER: Final = """
import json, os, signal, sys, time
given = json.loads(os.environ["TOLD"])
folder, turn = sys.argv[1:]
me = os.getpid()
beat = lambda: os.write(given["writes"], me.to_bytes(4, "little"))
started = os.open(folder + "/" + turn, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
number = os.write(started, b"x") and os.lseek(started, 0, os.SEEK_CUR)
heed = lambda: signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGINT])
def live(seconds=60):
    heed()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        beat()
        time.sleep(0.05)
"""
TIMES: Final = {"_LOOK_SECONDS": 0.05, "_AGAIN_SECONDS": 0.3}


class Running:
    """A watch, and what its workers wrote."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            if line.startswith("{"):  # the rest are workers', whose pipe has ended
                self.lines.append(json.loads(line))

    @property
    def pids(self) -> set[int]:
        return descendants(self.process.pid)

    def starts(self, turn: str) -> int:
        """How many workers began: of the `first`, or of those that were started `later`."""
        file = self.folder / turn
        return file.stat().st_size if file.exists() else 0

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def ends(self) -> int:
        """Its status. Nothing is left of it."""
        status = self.process.wait(60)
        self._reader.join(60)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return status


def becomes(condition: Callable[[], bool]) -> bool:
    for _ in range(1200):
        if condition():
            return True
        time.sleep(0.05)
    return False


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []
    (tmp_path / "metrics").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listens:

        def begin(
            program: str,
            count: int = 2,
            later: list[str] | None = None,
            ignored: Sequence[signal.Signals] = (),
            log: int = subprocess.PIPE,
            **times: float,
        ) -> Running:
            told = {
                "program": WORKER + program,
                "folder": str(tmp_path),
                "count": count,
                "listens": listens.fileno(),
                "later": later,
                "ignored": list(ignored),
                "times": TIMES | times,
            }
            process = subprocess.Popen(
                [sys.executable, "-c", HARNESS, json.dumps(told)],
                pass_fds=[listens.fileno()],
                stderr=log,
                text=True,
            )
            running.append(Running(process, tmp_path))
            return running[-1]

        yield begin
        for one in running:
            pids = one.pids
            one.process.kill()
            for pid in pids & parents().keys():
                os.kill(pid, signal.SIGKILL)
            one.ends()


@pytest.mark.parametrize("number", watch.ENDING)
def test_each_signal_ends_all_in_order(start: Start, number: signal.Signals) -> None:
    ended = "signal.signal(15, lambda *_: sys.exit(os.rmdir(folder + f'/{me}')))\n"
    running = start(f"{ended}os.mkdir(folder + f'/{{me}}')\nlive()")
    assert becomes(lambda: len([*running.folder.iterdir()]) == 4)
    running.process.send_signal(number)
    assert running.ends() == 0
    # Each worker took its folder away, and the watch the metrics'.
    assert [file.name for file in running.folder.iterdir()] == ["first"]
    assert running.lines == []


def test_workers_that_cannot_start_end_all(start: Start) -> None:
    running = start("time.sleep(number / 5)\nsys.exit(3)", count=3, _AGAIN_SECONDS=600)
    assert running.ends() == 3
    assert (running.starts("first"), running.starts("later")) == (3, 0)
    assert [line["status"] for line in running.told("worker_ended")] == [3, 3, 3]


def test_one_of_the_first_that_cannot_start_ends_no_other(start: Start) -> None:
    running = start("sys.exit(3) if number == 1 and turn == 'first' else time.sleep(1)\nlive()")
    assert becomes(lambda: running.starts("later") == 1)
    assert becomes(lambda: len(running.pids) == 2)
    time.sleep(2)
    assert len(running.told("worker_ended")) == 1
    running.process.terminate()
    assert running.ends() == 0


def test_where_nobody_serves_none_waits_to_be_started(start: Start) -> None:
    program = (
        "if turn == 'first': live(0.5 if number == 1 else 1.5)\n"
        "elif number == 1: sys.exit(3)\n"
        "else: live()"
    )
    running = start(program, _AGAIN_SECONDS=600)
    assert becomes(lambda: running.starts("later") == 3)


def test_workers_that_cannot_start_and_end_at_once(start: Start) -> None:
    wait = "while not os.path.exists(folder + '/go'): time.sleep(0.05)\n"
    running = start(f"{wait}sys.exit(3)", count=8)
    assert becomes(lambda: running.starts("first") == 8)
    running.process.send_signal(signal.SIGSTOP)
    (running.folder / "go").touch()
    assert becomes(lambda: not running.pids)  # but for what nobody has asked about
    running.process.send_signal(signal.SIGCONT)
    assert running.ends() == 3
    assert len(running.told("worker_ended")) == 8


def test_one_that_cannot_start_is_tried_again_while_another_serves(start: Start) -> None:
    program = "sys.exit(3) if turn == 'later' else live(60 if number == 1 else 0.2)"
    running = start(program, _AGAIN_SECONDS=1)
    assert becomes(lambda: running.starts("later") >= 3)
    assert becomes(lambda: len(running.pids) == 1)
    [serves] = running.pids
    began, before = time.monotonic(), running.starts("later")
    assert becomes(lambda: running.starts("later") >= before + 2)
    assert time.monotonic() - began > 1  # not all at once
    os.kill(serves, signal.SIGKILL)
    assert running.ends() == 3


@pytest.mark.parametrize(
    ("way", "said"),
    [("os.kill(me, 9)", {"signal": 9}), ("sys.exit(7)", {"status": 7}), ("", {"status": 0})],
)
def test_one_that_ends_is_replaced(start: Start, way: str, said: dict[str, int]) -> None:
    running = start(f"live(0.5 if turn == 'first' and number == 1 else 60)\n{way}")
    assert becomes(lambda: running.starts("later") == 1)
    assert becomes(lambda: len(running.told("worker_ended")) == 1)
    [line] = running.told("worker_ended")
    assert line.items() >= {"level": "warning", "logger": "claimcheck.watch", **said}.items()
    assert becomes(lambda: len(running.pids) == 2)
    running.process.terminate()
    assert running.ends() == 0


def test_one_that_hangs_is_killed_and_replaced(start: Start) -> None:
    running = start("live(0.5 if turn == 'first' else 60)\ntime.sleep(60)", _HUNG_SECONDS=5)
    assert becomes(lambda: running.starts("later") == 2)
    assert becomes(lambda: len(running.told("worker_ended")) == 2)
    assert len({line["pid"] for line in running.told("worker_hung")}) == 2
    assert [line["signal"] for line in running.told("worker_ended")] == [9, 9]


def test_it_goes_on_without_whoever_reads_its_log(start: Start) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    program = "live(0.5 if turn == 'first' else 60)\ntime.sleep(60)"
    running = start(program, log=writes, _HUNG_SECONDS=5)
    os.close(writes)
    assert becomes(lambda: running.starts("later") == 2)
    assert becomes(lambda: len(running.pids) == 2)
    running.process.terminate()
    assert running.ends() == 0


def test_what_is_ignored_is_ignored(start: Start) -> None:
    """As by nohup."""
    running = start("live()", ignored=[signal.SIGHUP])
    assert becomes(lambda: running.starts("first") == 2)
    running.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert len(running.pids) == 2
    running.process.send_signal(signal.SIGQUIT)
    assert running.ends() == 0


def test_when_the_machine_stood_still_none_is_killed(start: Start) -> None:
    running = start("live()", _HUNG_SECONDS=2)
    assert becomes(lambda: len(running.pids) == running.starts("first") == 2)
    time.sleep(0.5)
    everybody = {running.process.pid, *running.pids}
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    # The watch is the first to go on: it has heard of nobody.
    for pid in sorted(everybody, key=lambda pid: pid != running.process.pid):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)
    time.sleep(1)
    assert running.lines == []
    assert everybody == {running.process.pid, *running.pids}


def test_one_that_does_not_end_is_killed(start: Start) -> None:
    running = start("signal.signal(15, signal.SIG_IGN)\nlive()", _STOP_SECONDS=1)
    assert becomes(lambda: running.starts("first") == 2)
    running.process.terminate()
    assert running.ends() == 0
    assert len({line["pid"] for line in running.told("worker_killed")}) == 2


def test_a_second_control_c_ends_at_once(start: Start) -> None:
    running = start("signal.signal(15, signal.SIG_IGN)\nlive()", _STOP_SECONDS=600)
    assert becomes(lambda: running.starts("first") == 2)
    running.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        running.process.wait(1)
    running.process.send_signal(signal.SIGINT)
    assert running.ends() == 0


def test_what_others_leave_behind_is_taken_in(start: Start) -> None:
    """Process 1 of a container inherits it, and is alone in asking how it ended."""
    orphan = (
        "if (child := os.fork()) == 0:\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.5)\n"
        "        open(folder + f'/orphan-{os.getppid()}', 'w').close()\n"
        "    os._exit(5)\n"
        "os.waitpid(child, 0)\n"
    )
    running = start(f"{orphan}live()")
    pid = running.process.pid
    assert becomes(lambda: len([*running.folder.glob(f"orphan-{pid}")]) == 1)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    assert becomes(lambda: len(children.read_text().split()) == 2)
    time.sleep(0.5)
    assert running.lines == []


def test_one_that_cannot_be_made_is_made_later(start: Start) -> None:
    """As where there are too many processes; here the program is not there."""
    running = start("live(60 if number == 1 else 0.5)", later=["/nowhere/python"])
    assert becomes(lambda: len(running.told("worker_not_started")) >= 2)
    assert "No such file" in running.told("worker_not_started")[0]["error"]
    assert len(running.pids) == 1
    running.process.terminate()
    assert running.ends() == 0


def test_it_needs_the_standard_library_alone() -> None:
    """It runs without the environment's packages."""
    tree = ast.parse(Path(watch.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = set()
    for node in imports:
        is_from = isinstance(node, ast.ImportFrom)
        names |= {str(node.module)} if is_from else {one.name for one in node.names}
    assert names <= sys.stdlib_module_names
    assert names >= {"json", "os", "signal"}
