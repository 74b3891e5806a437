"""The values that a setting may have, and how each is read."""

import re
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator, BeforeValidator, InstanceOf, SecretStr

from app.core import client_address
from app.core.database_url import normalize_database_url
from app.core.destination import Words, split_words
from app.core.object_url import bucket_address

MIN_SECRET: Final = 32
MAX_PROXIES: Final = 10
_HOST_ALONE: Final = re.compile(
    r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d{1,5})?/?|[A-Za-z0-9-]+:\d{1,5}/?"
)
_LIKE_AN_ORIGIN: Final = re.compile(
    r"(?:(https?)://)?([a-z0-9_](?:[a-z0-9._-]*)|\[[0-9a-f:.]+\])(:\d{1,5})?([/?#].*)?", re.DOTALL
)


def _networks(value: object) -> object:
    words = split_words(value)
    return [_network(str(word)) for word in words] if isinstance(words, list) else words


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        wider = ip_network(word, strict=False)
    except ValueError:
        raise ValueError("write addresses or networks, as 192.0.2.7 or 10.0.0.0/8") from None
    raise ValueError(f"{word} is an address within a network: write {wider} for all of it")


def _proxies(value: object) -> object:
    if not str(value).isdecimal():
        return _networks(value)
    if int(str(value)) > MAX_PROXIES:
        raise ValueError(f"more than {MAX_PROXIES} proxies; for networks write 10.0.0.0/8")
    return int(str(value))


def _limit(value: object) -> object:
    if value is None:
        return None
    try:
        [limit] = parse_many(str(value))
    except ValueError:
        raise ValueError("write so many per second, minute, hour or day: 600/minute") from None
    if limit.amount < 1:
        raise ValueError("at least one request must be possible; leave it out for no limit")
    return limit


def _moment(value: object) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            "write date, time and offset from UTC (ISO 8601): 2026-11-22T20:07:11Z"
        ) from None


def _usable_endpoint(url: str) -> str:
    try:
        bucket_address(url, "bucket", "region")
    except ValueError:
        if _HOST_ALONE.fullmatch(url):
            raise ValueError(f"has no scheme: write https://{url}") from None
        raise
    return url.rstrip("/")


def _usable_bucket(bucket: str) -> str:
    bucket_address(None, bucket, "region")
    return bucket


def _usable_region(region: str) -> str:
    bucket_address(None, "bucket", region)
    return region


def _postgresql(url: SecretStr) -> SecretStr:
    return SecretStr(normalize_database_url(url.get_secret_value()))


def _long_enough(key: SecretStr) -> SecretStr:
    # Whoever sees a grant in a page may try keys on it for as long as they like.
    if len(key.get_secret_value()) < MIN_SECRET:
        raise ValueError(
            f"needs {MIN_SECRET} characters or more; make one with `openssl rand -hex 32`"
        )
    return key


def _clamd(url: str) -> str:
    parts = urlsplit(url)
    try:
        good = (parts.scheme == "tcp" and parts.hostname and parts.port) or (
            parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc
        )
    except ValueError:  # a port that is none
        good = False
    if not good:
        raise ValueError("write tcp://host:3310 or unix:///run/clamav/clamd.ctl")
    return url


def _redis(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("must begin with redis:// or rediss://")
    return url


def _exact_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    # Browsers write them so, and they are compared as they are written (RFC 6454, section 6.2).
    origins = tuple(origin.lower() for origin in origins)
    for origin in origins:
        _check_origin(origin)
    return origins


def _check_origin(origin: str) -> None:
    found = _LIKE_AN_ORIGIN.fullmatch(origin)
    if found is None or not (found[1] or "." in found[2] or found[2] == "localhost"):
        shown = "this" if "@" in origin else repr(origin)
        raise ValueError(
            f"{shown} is not an exact origin; write https://www.example.com, without wildcard"
        )
    scheme, host, port, rest = found.groups()
    implied = {"http": ":80", "https": ":443"}.get(scheme)
    exact = f"{scheme or 'https'}://{host}{'' if port in {None, implied} else port}"
    if origin == exact:
        return
    if scheme is None:
        why = "has no scheme"
    elif rest == "/":
        why = "has a slash at its end"
    elif rest:
        why = "has more than scheme, host and port"
    else:
        why = f"has the port that browsers leave out with {scheme}"
    raise ValueError(f"{origin!r} is not an exact origin: it {why}; write {exact}")


Networks = Annotated[client_address.Networks, BeforeValidator(_networks)]
Proxies = Annotated[client_address.TrustedProxies, BeforeValidator(_proxies)]
Limit = Annotated[InstanceOf[RateLimitItem] | None, BeforeValidator(_limit)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
ClamdUrl = Annotated[str, AfterValidator(_clamd)]
Endpoint = Annotated[str, AfterValidator(_usable_endpoint)]
BucketName = Annotated[str, AfterValidator(_usable_bucket)]
Region = Annotated[str, AfterValidator(_usable_region)]
PostgresqlUrl = Annotated[SecretStr, AfterValidator(_postgresql)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
SecretKey = Annotated[SecretStr, AfterValidator(_long_enough)]
Origins = Annotated[Words, AfterValidator(_exact_origins)]
