"""Set up a process: where its log lines go, and when it collects garbage."""

import asyncio
import gc
import logging
import logging.config
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final

from app.logs.log import others_formatter, write_for_people, write_to

# How many objects are new, and how often a generation was gone through, before the collector goes
# through the next older one.
_RARELY: Final = (200_000, 3, 100)
# New objects that are worth a collection, which takes half a microsecond for each.
_WORTHWHILE: Final = 1000
# So much their number changes between two looks while nobody asks.
_STILL: Final = 100
_LOOK_SECONDS: Final = 0.1
# Seconds. A turn with nothing in it takes 0.05 ms.
_EMPTY_TURN: Final = 0.0003

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"others": {"()": others_formatter}},
    "handlers": {"others": {"class": "logging.StreamHandler", "formatter": "others"}},
    "loggers": {
        # What uvicorn set up before it loaded us.
        "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
        "uvicorn.error": {"level": "INFO"},
        # Its access log has query strings in it; ours (app.http.middleware) has not.
        "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        # The panel's: it writes whole addresses, with what was searched for in them.
        "starlette_admin": {"level": "ERROR"},
    },
    "root": {"level": "WARNING", "handlers": ["others"]},
}


def configure_logging() -> None:
    """Log to standard error, one JSON object a line, or for people where it is a terminal.

    The tests' loggers are left to pytest.
    """
    # No line shows them, and finding them out is a fifth of its cost (Python's logging HOWTO,
    # "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.config.dictConfig(LOGGING)
    write_to(sys.stderr)
    if sys.stderr.isatty():
        write_for_people(colors="NO_COLOR" not in os.environ)


def hold_garbage_collector() -> None:
    """Collect nothing until `freeze_garbage_collector`; call it before the application is loaded.

    What is imported stays for good: going through it again and again takes a fifth of the start.
    """
    gc.disable()


def freeze_garbage_collector() -> None:
    """Keep garbage collection out of requests; call it when the application is built.

    What was imported stays for good, and going through it again and again stopped the event loop
    for up to 0.2 s at a time. It is not gone through now either: what little of it is garbage,
    3,000 objects, is not worth 0.1 s.

    While requests are under way it would go through all that they have in hand in one step: what
    1,000 links are made of takes it 25 ms. So it goes by itself to bound what nobody has thought
    of, after 200,000 objects, some 20 MiB; `collecting_garbage` has it go before.
    """
    gc.freeze()
    gc.set_threshold(*_RARELY)
    gc.enable()


@asynccontextmanager
async def collecting_garbage() -> AsyncIterator[None]:
    """Collects garbage in moments in which the event loop has nothing else to do, until it is left;
    in processes that `freeze_garbage_collector` has set up.

    Requests leave none; but a page of the panel leaves 400 objects, and without uvloop a connection
    7: the panel's framework, its templates and asyncio's transports have cycles in them.
    """
    task = None
    if gc.get_threshold() == _RARELY:
        # What was opened meanwhile stays as long.
        gc.freeze()
        task = asyncio.create_task(_collect_when_quiet())
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


async def _collect_when_quiet() -> None:
    new = 0
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        before, new = new, gc.get_count()[0]
        # While somebody does, most are in hand, of requests that wait or of a thread.
        nobody_asks = abs(new - before) <= _STILL
        if new > _WORTHWHILE and nobody_asks and gc.isenabled() and await _is_quiet():
            # The oldest generation that is due, as the collector itself chooses.
            due = [count > most for count, most in zip(gc.get_count(), _RARELY, strict=True)]
            gc.collect(2 if due[2] else 1 if due[1] else 0)


async def _is_quiet() -> bool:
    """Whether nothing else waits for its turn of the event loop."""
    start = perf_counter()
    await asyncio.sleep(0)
    return perf_counter() - start < _EMPTY_TURN
