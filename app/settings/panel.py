"""Whether the admin panel is installed: it is an extra, and may be left out altogether."""

from importlib.util import find_spec
from typing import Final

_NEEDED: Final = ("app.admin", "argon2", "starlette_admin", "python_multipart")


def missing_for_panel() -> str | None:
    """The first of the packages that the panel needs and that is not there; None: all are."""
    return next((name for name in _NEEDED if find_spec(name) is None), None)
