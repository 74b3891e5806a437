"""The watch over the workers of one port: a process of its own, of a few MiB.

It ends all workers when it is told to end, kills one whose event loop has not moved for a minute,
and starts another in place of one that died. `app.commands.supervisor` becomes it, by exec, when it
has started the workers: what it had loaded would else be a copy more of every page that workers
write to. Run as a file, so that nothing but the standard library is loaded: it has none of the
application's modules, and none of their threads or connections.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

# Each ends the watch and its workers, but for those that were ignored when it began: as nohup has
# it, or a shell for what is in the background.
ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# What is told to the watch: waited for, never caught.
SIGNALS: Final = (*ENDING, signal.SIGCHLD)
# A worker says every second, with its process id in so many bytes, that its event loop moves.
WORD: Final = 4
_LOOK_SECONDS: Final = 1.0
_HUNG_SECONDS: Final = 60.0
# Requests may take 20 seconds after SIGTERM and closing five more; Heroku kills after 30.
_STOP_SECONDS: Final = 28.0
# After a worker that could not start, while others serve.
_AGAIN_SECONDS: Final = 10.0
_CANNOT_START: Final = 3


class Watch:
    """Watches over these workers until one of ENDING comes. Signals are blocked when it begins.

    `reads` and `writes` are the ends of the pipe by which workers say that they live; `listens` is
    the port's socket. `command` starts a worker, which finds what it needs in `variable`.
    `folder`, if any, is removed at the end.
    """

    def __init__(
        self,
        workers: list[int],
        reads: int,
        writes: int,
        listens: int,
        command: list[str],
        variable: str,
        folder: str | None,
    ) -> None:
        self._count = len(workers)
        self._reads, self._writes, self._listens = reads, writes, listens
        self._command, self._variable, self._folder = command, variable, folder
        self._looked = self._next = time.monotonic()
        # When each was started, or was last heard.
        self._heard = dict.fromkeys(workers, self._looked)
        # Those that were heard: they serve.
        self._serve: set[int] = set()
        self._killed: set[int] = set()
        self._ending = {one for one in ENDING if signal.getsignal(one) != signal.SIG_IGN}
        os.set_inheritable(reads, False)
        os.set_blocking(reads, False)

    def run(self) -> int:
        """Watch until the end; the status to end with."""
        status = None
        while status is None:
            status = 0 if self._wait() in self._ending else self._look()
        self._end()
        return status

    def _wait(self) -> int | None:
        """The signal that came within a second; None where none did."""
        told = signal.sigtimedwait([*self._ending, signal.SIGCHLD], _LOOK_SECONDS)
        return None if told is None else told.si_signo

    def _look(self) -> int | None:
        """Take note of who lives, and replace who ended or hangs.

        A status where there is no use in going on.
        """
        now = time.monotonic()
        if now - self._looked > 5 * _LOOK_SECONDS:
            # The machine stood still, and the workers with it.
            self._heard = dict.fromkeys(self._heard, now)
        self._looked = now
        self._listen(now)
        could_not_start = one_left = False
        for pid, how in _ended():
            if self._heard.pop(pid, None) is None:
                continue  # not ours: process 1 of a container inherits what others leave
            _log("worker_ended", pid=pid, **how)
            if pid in self._serve:
                one_left = True
            else:
                could_not_start = True
            self._serve.discard(pid)
            self._killed.discard(pid)
        if could_not_start:
            if not self._heard:
                return _CANNOT_START
            self._next = now + _AGAIN_SECONDS
        elif one_left and not self._serve:
            self._next = now  # nobody serves
        for pid, heard in self._heard.items():
            if now - heard > _HUNG_SECONDS:
                self._kill(pid, "worker_hung")
        while len(self._heard) < self._count and now >= self._next:
            self._start(now)
        return None

    def _listen(self, now: float) -> None:
        try:
            said = os.read(self._reads, 1 << 16)
        except BlockingIOError:
            return
        for start in range(0, len(said), WORD):
            pid = int.from_bytes(said[start : start + WORD], "little")
            if pid in self._heard:
                self._heard[pid] = now
                self._serve.add(pid)

    def _start(self, now: float) -> None:
        given = {"listens": self._listens, "writes": self._writes, "watch": os.getpid()}
        environ = os.environ | {self._variable: json.dumps(given)}
        try:
            # It heeds no signal until it can end in order, as those that were forked.
            pid = os.posix_spawn(self._command[0], self._command, environ, setsigmask=SIGNALS)
        except OSError as error:
            _log("worker_not_started", error=str(error))
            self._next = now + _AGAIN_SECONDS
        else:
            self._heard[pid] = now

    def _end(self) -> None:
        # New connections are refused once the workers have closed it, too.
        os.close(self._listens)
        for pid in self._heard:
            _send(pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        while self._heard:
            if self._wait() == signal.SIGINT:
                until = 0.0  # a second Control-C: now
            for pid, _ in _ended():
                self._heard.pop(pid, None)
            if time.monotonic() > until:
                for pid in self._heard:
                    self._kill(pid, "worker_killed")
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self, pid: int, event: str) -> None:
        if pid not in self._killed:
            self._killed.add(pid)
            _send(pid, signal.SIGKILL)
            _log(event, pid=pid)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _ended() -> list[tuple[int, dict[str, Any]]]:
    """The children that have ended since, and how each did."""
    found: list[tuple[int, dict[str, Any]]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        code = os.waitstatus_to_exitcode(status)
        found.append((pid, {"signal": -code} if code < 0 else {"status": code}))


def _log(event: str, **fields: Any) -> None:
    """Write a line as app.logs.log does, which is not loaded here; on terminals, too."""
    line = {
        "time": datetime.now(UTC).isoformat(),
        "level": "warning",
        "logger": "claimcheck.watch",
        "event": event,
    }
    # The service goes on without whoever reads its log.
    with suppress(OSError, ValueError):
        sys.stderr.write(json.dumps(line | fields, separators=(",", ":")) + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    # What it is given stands in the environment, for its arguments are those of the command that it
    # was: so the process is found by them.
    sys.exit(Watch(**json.loads(os.environ.pop(sys.argv[1]))).run())
