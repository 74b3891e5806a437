"""PostgreSQL URLs as hosting services give them, converted for asyncpg. Pure."""

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# asyncpg reads these from a URL; any other parameter it sends to the server as a setting.
_KNOWN: Final = frozenset(
    {
        *("host", "port", "user", "password", "dbname", "database", "target_session_attrs"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
        *("application_name", "options", "search_path"),
    }
)
# Of libpq or other drivers; dropping them changes nothing here.
_IGNORED: Final = frozenset(
    {
        *("channel_binding", "connect_timeout", "gssencmode", "pgbouncer", "sslnegotiation"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    }
)


def normalize_database_url(url: str) -> str:
    """The URL for asyncpg (PostgreSQL documentation, "Connection URIs"), without `_IGNORED`.

    Raises ValueError, whose message says what is wrong and never shows the password.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError("must start with postgres:// or postgresql://, the only database")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port is not a number from 0 to 65535") from None
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in parameters if name not in _IGNORED]
    for name, value in kept:
        if name not in _KNOWN:
            # Its name is not shown: after an unencoded "?" it is the rest of the password.
            raise ValueError(
                "has a parameter that PostgreSQL's URLs do not have (in a password write ? as %3F)"
            )
        if name == "sslmode" and value not in SSL_MODES:
            raise ValueError(f"its sslmode is none of {', '.join(SSL_MODES)}")
    if not parts.hostname and "host" not in dict(kept):
        raise ValueError("names no host: postgres://user:password@host/database")
    address = url.partition("?")[0]
    return f"{address}?{urlencode(kept)}" if kept else address
