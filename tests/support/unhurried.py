"""The service's own limits of time, lifted: a machine that stands still for some seconds says
nothing of the service. A test that is about a limit sets its own, or the one that is served.

`python -m tests.support.unhurried ...` is `claimcheck ...` without them.
"""

from importlib import import_module
from typing import Final

from app.cli import main
from app.store.session import open_client
from app.uploads.confirm import confirm_file, confirm_upload

# Seconds; what comes at once when all is well costs none of them.
LONG: Final = 60
_LIMITS: Final = (
    "app.db.connections.CONNECT_SECONDS",
    "app.db.connections.STATEMENT_SECONDS",
    "app.doctor.report_cache._LONGEST_WAIT",
    "app.http.middleware.ANSWER_SECONDS",
    "app.jwt.issuer_keys.FETCH_SECONDS",
    "app.routers.service.READY_SECONDS",
    "app.runtime.shared_counts.REDIS_SECONDS",
    "app.store.web.READ_TIMEOUT",
)
# As they are served, by their names.
SERVED: Final = {
    name: float(getattr(import_module(name.rpartition(".")[0]), name.rpartition(".")[2]))
    for name in _LIMITS
}


def lift() -> None:
    """Wait so long instead, in this process; for a bucket that joins parts, too."""
    for name in _LIMITS:
        module, _, limit = name.rpartition(".")
        setattr(import_module(module), limit, LONG)
    # Defaults that were taken when their functions were made.
    for function, limit in (
        (open_client, "read_timeout"),
        (confirm_upload, "wait_seconds"),
        (confirm_file, "wait_seconds"),
    ):
        defaults = function.__kwdefaults__
        assert defaults is not None
        assert limit in defaults
        defaults[limit] = LONG


if __name__ == "__main__":
    lift()
    main()
