"""Log lines: JSON objects with a name (`event`) and fields, and on whose behalf they were written.

structlog makes each line, of our own events and of others' records (`app.runtime.process`).
docs/logging.md lists the events.
"""

import asyncio
import atexit
import json
import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import Any, ClassVar, Final, TextIO

from pydantic_core import to_json

from app.core.principal import Principal
from app.left_out import left_out
from app.logs.redaction import redact

# It is for tracebacks on terminals, which `write_for_people` has plain.
with left_out("rich"):
    import structlog
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict, Processor, WrappedLogger


@dataclass(slots=True)
class Actor:
    """On whose behalf this process does what it is doing.

    A request has an id and an address, and a caller once the credential is known. Without a caller
    `name` says by what right it is done: `sweep`, `cli`, or a `grant`.
    """

    name: str | None = None
    request_id: str | None = None
    client: str | None = None
    caller: Principal | None = None

    def fields(self) -> dict[str, str]:
        """The fields that say who it is: never a secret."""
        who = self.caller
        if who is not None:
            return {"owner": who.owner, "tenant": who.tenant, "credential": who.credential}
        return {} if self.name is None else {"credential": self.name}


# Tasks inherit it, also those that outlive the request that began them.
current_actor: Final[ContextVar[Actor | None]] = ContextVar("current_actor", default=None)


class Logger:
    """Writes events as lines, from INFO upwards: `log.info("event", field=value)`.

    Lines go to the process's output, or else to the standard library. Its loggers take three times
    as long for a line as all else that is done for it; but tests, and programs that run the
    application in a process of their own, look there. structlog's own loggers take as long again.
    """

    output: ClassVar[TextIO | None] = None

    def __init__(self, name: str) -> None:
        self.name = name
        self._logger = logging.getLogger(name)

    def info(self, event: str, **fields: Any) -> None:
        self._log("info", logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log("warning", logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log("error", logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._log("error", logging.ERROR, event, {**fields, "exc_info": sys.exc_info()})

    def _log(self, method: str, level: int, event: str, fields: dict[str, Any]) -> None:
        line = _headed(self.name, method, event, fields)
        if self.output is None:
            self._logger.log(level, _stepped(self, method, line))
        else:
            _lines.add(method, line)


_HEAD: Final = ("time", "level", "logger", "event", "request_id")


class _Lines:
    """Makes and writes what one turn of an event loop has to say at its end, all at once: line by
    line, in between all else, it takes three times as long. Threads, which have no loop, write
    theirs themselves.
    """

    def __init__(self) -> None:
        self._gathered: list[tuple[str, EventDict]] = []
        # The one at whose next turn they are written.
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, method: str, line: EventDict) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write([(method, line)])
            return
        self._gathered.append((method, line))
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        lines, self._gathered, self._loop = self._gathered, [], None
        self._write(lines)

    @staticmethod
    def _write(lines: Iterable[tuple[str, EventDict]]) -> None:
        text = "".join([f"{_told(method, line)}\n" for method, line in lines])
        # A request does not fail because the log's reader has gone.
        with suppress(OSError, ValueError):
            if Logger.output is not None:
                Logger.output.write(text)


def _told(method: str, line: EventDict) -> str:
    """The line; without its fields where one of them cannot be written, so that others are."""
    try:
        return str(_stepped(None, method, line))
    except Exception:  # whatever a field's own text raises
        return str(_stepped(None, method, {n: line[n] for n in _HEAD if n in line}))


_lines: Final = _Lines()
# For a loop that ends before its turn is over.
atexit.register(_lines.flush)


def write_to(output: TextIO | None) -> None:
    """Write lines there from now on; None is the standard library."""
    Logger.output = output


def get_logger(name: str) -> Logger:
    """The logger `claimcheck.<name>`."""
    return Logger(f"claimcheck.{name}")


def _headed(name: str, level: str, event: str, fields: EventDict) -> EventDict:
    """The fields behind those that every line has."""
    line: EventDict = {
        "time": _now(),
        "level": level,
        "logger": name,
        "event": event,
    }
    actor = current_actor.get()
    if actor is not None and actor.request_id is not None:
        line["request_id"] = actor.request_id
    line.update(fields)
    return line


def _now() -> str:
    """The time in UTC as `datetime.isoformat` writes it, in half of its time."""
    microseconds = time_ns() // 1000
    return f"{_second(microseconds // 1_000_000)}.{microseconds % 1_000_000:06d}+00:00"


# Lines of one second have it in common.
@lru_cache(maxsize=4)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).isoformat()[:19]


def _headed_record(_logger: WrappedLogger | None, method: str, given: EventDict) -> EventDict:
    """Others' lines come as records of the standard library."""
    record: logging.LogRecord = given.pop("_record")
    del given["_from_structlog"]
    return _headed(record.name, method, given.pop("event"), given)


def _as_json(_logger: WrappedLogger | None, _method: str, line: EventDict) -> str:
    try:
        return to_json(line, serialize_unknown=True).decode()
    except ValueError:
        # Half a surrogate, which no UTF-8 can hold.
        return json.dumps(line, default=str)


def _redacted(_logger: WrappedLogger | None, _method: str, line: Any) -> str:
    return redact(line)


_JSON: Final[tuple[Processor, ...]] = (structlog.processors.format_exc_info, _as_json)

# What makes text of a line, step by step.
STEPS: Final[list[Processor]] = [*_JSON, _redacted]


def _stepped(logger: WrappedLogger | None, method: str, line: Any) -> Any:
    for step in STEPS:
        line = step(logger, method, line)
    return line


def others_formatter() -> logging.Formatter:
    """Makes lines of other loggers' records as of our own events, also after `write_for_people`."""
    return ProcessorFormatter(processors=[_headed_record, _stepped])


def write_for_people(*, colors: bool) -> None:
    """Write lines for a terminal from now on, in place of JSON."""
    STEPS[:] = [
        structlog.dev.ConsoleRenderer(
            colors=colors,
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=0,
        ),
        _redacted,
    ]
