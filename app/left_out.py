"""Packages that a dependency imports wherever they are installed, though it works without them.

Some environments have such a package for other reasons: a test client, tables on a terminal. What
it costs to load is then paid by every process that has no use of it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def leave_out(package: str) -> None:
    """From now on importing the package raises ModuleNotFoundError, as if it were not installed
    (Python reference, 5.3.1 "The module cache"). Does nothing where it has been imported already.
    """
    sys.modules.setdefault(package, None)  # type: ignore[arg-type]


@contextmanager
def left_out(package: str) -> Iterator[None]:
    """As `leave_out`, for as long as this lasts: whoever imports it later gets it."""
    is_loaded = package in sys.modules
    leave_out(package)
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules[package]
