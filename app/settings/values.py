"""The values that a setting may have, and how each is read."""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Final

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator, BeforeValidator, InstanceOf, SecretStr

from app.core import client_address
from app.core.database_url import normalize_database_url
from app.core.destination import Words, split_words
from app.core.object_url import bucket_address

MIN_SECRET: Final = 32
MAX_PROXIES: Final = 10


def _networks(value: object) -> object:
    words = split_words(value)
    return [ip_network(str(word)) for word in words] if isinstance(words, list) else words


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
    bucket_address(url, "bucket", "region")
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


def _redis(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("must begin with redis:// or rediss://")
    return url


def _exact_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(origin.lower() for origin in origins)
    for origin in origins:
        scheme, _, host = origin.partition("://")
        if scheme not in {"http", "https"} or not host or "*" in host or "/" in host:
            raise ValueError(
                f"{origin!r} is not an exact origin; write https://www.example.com, "
                "without path or wildcard"
            )
    return origins


Networks = Annotated[client_address.Networks, BeforeValidator(_networks)]
Proxies = Annotated[client_address.TrustedProxies, BeforeValidator(_proxies)]
Limit = Annotated[InstanceOf[RateLimitItem] | None, BeforeValidator(_limit)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Endpoint = Annotated[str, AfterValidator(_usable_endpoint)]
BucketName = Annotated[str, AfterValidator(_usable_bucket)]
Region = Annotated[str, AfterValidator(_usable_region)]
PostgresqlUrl = Annotated[SecretStr, AfterValidator(_postgresql)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
SecretKey = Annotated[SecretStr, AfterValidator(_long_enough)]
Origins = Annotated[Words, AfterValidator(_exact_origins)]
