"""Where log lines go: standard error, one line each, nothing secret in them."""

import logging.config
from typing import Any, Final

_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "claimcheck": {"level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
        # Its access log has query strings in it; ours (app.routers.middleware) has not.
        "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
    "root": {"level": "WARNING", "handlers": ["console"]},
}


def configure_logging() -> None:
    """For processes; the tests' loggers are left to pytest."""
    logging.config.dictConfig(_LOGGING)
