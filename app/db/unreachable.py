"""Why no connection came about, and what to do: in words, for who sets DATABASE_URL."""

import socket
import ssl
from typing import Final

_AT_PRESENT: Final = "The database takes no connection at present. Try again in a moment."
# Classes of SQLSTATE (PostgreSQL, Appendix A), by their first two characters.
_BY_CLASS: Final = {
    "28": "The database did not let us in. Compare the user and the password in DATABASE_URL with "
    "those of the server, and see that it lets this machine in.",
    "3D": "The server has no database of this name. Make it, or mend the name at the end of "
    "DATABASE_URL.",
    "53": _AT_PRESENT,
    "57": _AT_PRESENT,
}


def no_connection(error: BaseException) -> str:
    """One line: what to do about the driver's error, and behind it the error's own words."""
    advice, cause = _advice(error), str(error)
    return f"{advice} The cause: {cause}" if cause else advice


def _advice(error: BaseException) -> str:
    sqlstate: str = getattr(error, "sqlstate", None) or ""
    if sqlstate[:2] in _BY_CLASS:
        return _BY_CLASS[sqlstate[:2]]
    if isinstance(error, socket.gaierror):
        return (
            "The host of the database is not known here. Compare its name in DATABASE_URL with "
            "the server's, and see that this machine can look names up."
        )
    if isinstance(error, TimeoutError):
        return (
            "The database did not answer in time. Compare host and port in DATABASE_URL with the "
            "server's, and see that no firewall is in between."
        )
    if isinstance(error, ssl.SSLError):
        return (
            "There is no TLS connection to the database. See that `sslmode` and `sslrootcert` in "
            "DATABASE_URL are right for the server's certificate."
        )
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return (
            "No database listens there. Start it, or mend host and port in DATABASE_URL: in a "
            "container, localhost is the container itself."
        )
    return "There is no connection to the database. See that DATABASE_URL is right for the server."
