"""Set up a process: where its log lines go, and when it collects garbage."""

import gc
import logging
import logging.config
import os
import sys
from typing import Any, Final

from app.logs.log import others_formatter, write_for_people, write_to

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"others": {"()": others_formatter}},
    "handlers": {"others": {"class": "logging.StreamHandler", "formatter": "others"}},
    "loggers": {
        # What uvicorn set up before it loaded us.
        "uvicorn": {"level": "INFO", "handlers": [], "propagate": True},
        "uvicorn.error": {"level": "INFO"},
        # Their own handler: uvicorn_worker takes it for uvicorn's lines as well.
        "gunicorn.error": {"level": "INFO", "handlers": ["others"], "propagate": False},
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

    Requests, refused ones too, leave nothing behind that only the collector frees: none of 2,400
    of a kind did. But where many files are in hand it goes through all of them in one step. So it
    comes late, to bound what nobody has thought of: after 200,000 objects, some 20 MiB.
    """
    gc.freeze()
    gc.set_threshold(200_000, 5, 5)
    gc.enable()
