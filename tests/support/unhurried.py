"""The service's own limits of time, lifted: a machine that stands still for some seconds says
nothing of the service. A test that is about a limit sets its own, or the one that is served.

`python -m tests.support.unhurried ...` is `claimcheck ...` without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from app.cli import main
from app.store.session import open_client
from app.uploads.confirm import confirm_file, confirm_upload

if TYPE_CHECKING:  # the command needs none
    import pytest

# Seconds; what comes at once when all is well costs none of them.
LONG: Final = 120
_LIMITS: Final = (
    "app.db.connections.CONNECT_SECONDS",
    "app.db.connections.STATEMENT_SECONDS",
    "app.doctor.report_cache._LONGEST_WAIT",
    "app.embedded.postgres._START_TIMEOUT",
    "app.embedded.s3._START_SECONDS",
    "app.http.middleware.ANSWER_SECONDS",
    "app.jwt.issuer_keys.FETCH_SECONDS",
    "app.routers.service.READY_SECONDS",
    "app.runtime.shared_counts.REDIS_SECONDS",
    "app.store.web.READ_TIMEOUT",
)
# Of functions that took theirs when they were made.
_DEFAULTS: Final[tuple[tuple[Any, str], ...]] = (
    (open_client, "read_timeout"),
    (confirm_upload, "wait_seconds"),
    (confirm_file, "wait_seconds"),
)
# As they are served.
SERVED: Final = {
    name: float(getattr(import_module(name.rpartition(".")[0]), name.rpartition(".")[2]))
    for name in _LIMITS
}
_SERVED_DEFAULTS: Final = [
    (f.__kwdefaults__, limit, f.__kwdefaults__[limit]) for f, limit in _DEFAULTS
]


def lift() -> None:
    """Wait so long instead, in this process; for a bucket that joins parts, too."""
    for name in SERVED:
        module, _, limit = name.rpartition(".")
        setattr(import_module(module), limit, LONG)
    for defaults, limit, _ in _SERVED_DEFAULTS:
        defaults[limit] = LONG


def as_served(patch: "pytest.MonkeyPatch") -> None:
    """Have a test's service give up when one does that is served."""
    for name, seconds in SERVED.items():
        patch.setattr(name, seconds)
    for defaults, limit, seconds in _SERVED_DEFAULTS:
        patch.setitem(defaults, limit, seconds)


if __name__ == "__main__":
    lift()
    main()
