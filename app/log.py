"""Log lines: JSON objects with a name (`event`) and fields, and on whose behalf they were written.

structlog makes each line, and the standard library sends it off (`app.process`), so that ours and
everybody else's go the same way. docs/logging.md lists the events.
"""

import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from app.core.principal import Principal
from app.core.redaction import redact


@dataclass(slots=True)
class Actor:
    """On whose behalf this process does what it is doing.

    A request has an id and an address, and a caller once he has said who he is. Without a caller
    `name` says by what right it is done: `sweep`, `cli`, or a `grant`.
    """

    name: str | None = None
    request_id: str | None = None
    client: str | None = None
    caller: Principal | None = None

    def said(self) -> dict[str, str]:
        """The fields that say who it is: never a secret."""
        who = self.caller
        if who is not None:
            return {"owner": who.owner, "tenant": who.tenant, "credential": who.credential}
        return {} if self.name is None else {"credential": self.name}


# Tasks inherit it, also those that outlive the request that began them.
acting: Final[ContextVar[Actor | None]] = ContextVar("acting", default=None)


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger `claimcheck.<name>`: `log.info("event", field=value)`, from INFO upwards."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(f"claimcheck.{name}"),
        processors=STEPS,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()
    return logger


def _headed(logger: WrappedLogger | None, method: str, given: EventDict) -> EventDict:
    """What every line begins with. Others' lines come as records of the standard library."""
    record: logging.LogRecord | None = given.pop("_record", None)
    given.pop("_from_structlog", None)
    line: EventDict = {
        "time": datetime.now(UTC).isoformat(),
        "level": method,
        "logger": logger.name if record is None and logger is not None else record and record.name,
        "event": given.pop("event"),
    }
    actor = acting.get()
    if actor is not None and actor.request_id is not None:
        line["request_id"] = actor.request_id
    line.update(given)
    return line


def _as_json(_logger: WrappedLogger | None, _method: str, line: EventDict) -> str:
    try:
        return to_json(line, serialize_unknown=True).decode()
    except ValueError:
        # Half a surrogate, which no UTF-8 can hold.
        return json.dumps(line, default=str)


def _redacted(_logger: WrappedLogger | None, _method: str, line: Any) -> str:
    return redact(line)


_JSON: Final[tuple[Processor, ...]] = (structlog.processors.format_exc_info, _as_json)

# What makes a line of an event, step by step. One list, which every logger holds.
STEPS: Final[list[Processor]] = [_headed, *_JSON, _redacted]


def write_for_people(*, colors: bool) -> None:
    """Write lines for a terminal from now on, in place of JSON."""
    STEPS[1:] = [
        structlog.dev.ConsoleRenderer(
            colors=colors,
            timestamp_key="time",
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=0,
        ),
        _redacted,
    ]
