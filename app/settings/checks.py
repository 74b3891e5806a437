"""Checks across settings: what is wrong although each of them is a value that it may have."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from app.core.destination import Destination
from app.core.notifications import queue_arn
from app.core.words import in_list, two_sizes
from app.errors import ConfigurationError
from app.settings.panel import missing_for_panel
from app.settings.sources import PREFIX

if TYPE_CHECKING:
    from app.settings.model import Settings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def faults_across(settings: "Settings") -> Iterator[str]:
    """A line for each fault; the destinations have their defaults filled in."""
    yield from _in_auth(settings)
    yield from _in_credentials(settings)
    yield from _in_overlaps(settings.destinations)
    yield from _in_records(settings)
    yield from _in_panel(settings)
    yield from _in_bucket_events(settings)
    yield from _in_scans(settings)


def faults_of_stores(settings: "Settings") -> Iterator[str]:
    """A line for each database or bucket that is missing."""
    if settings.database_url is None:
        yield (
            "DATABASE_URL is not set: give a PostgreSQL URL (postgres://user:password@host/name), "
            "or start everything on this machine with `claimcheck dev`."
        )
    without = [name for name, one in settings.destinations.items() if not one.bucket]
    if without:
        named = [f"destinations.{name}" for name in without]
        own = f"{PREFIX}DESTINATIONS__{without[0].upper()}__BUCKET"
        yield (
            f"{in_list(named, 'and')} {'have' if len(without) > 1 else 'has'} no bucket: set "
            f"AWS_STORAGE_BUCKET_NAME for all destinations, or {own} for one."
        )


def requires_scans(settings: "Settings") -> bool:
    """Whether any destination serves files only once they were scanned."""
    return any(one.scan == "required" for one in settings.destinations.values())


def check_name(path: str, name: str) -> None:
    """Raises ConfigurationError for a name that no destination, record type or field can have."""
    # Lower case, or the environment could not speak of what TOML declares.
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{path}: use lower-case letters, digits, '-' and '_' in names, "
            "at most 63, a letter or digit first"
        )


def _in_auth(settings: "Settings") -> Iterator[str]:
    if "none" in settings.auth and len(settings.auth) > 1:
        yield f"{PREFIX}AUTH: none goes with nothing else"
    if "jwt" in settings.auth and settings.jwt is None:
        yield (
            f"{PREFIX}AUTH has jwt, so say whose: {PREFIX}JWT__ISSUER, {PREFIX}JWT__AUDIENCE "
            f"and {PREFIX}JWT__JWKS_URL or {PREFIX}JWT__SECRET"
        )
    if settings.jwt is not None and "jwt" not in settings.auth:
        yield f"{PREFIX}JWT__... is set, but {PREFIX}AUTH does not have jwt"


def _in_records(settings: "Settings") -> Iterator[str]:
    for record_type, fields in settings.records.items():
        try:
            check_name(f"records.{record_type}", record_type)
            for name, field in fields.items():
                path = f"records.{record_type}.{name}"
                check_name(path, name)
                if field.destination not in settings.destinations:
                    known = ", ".join(sorted(settings.destinations))
                    yield (
                        f"{path}: there is no destination {field.destination!r}; "
                        f"there are: {known}."
                    )
                if "max_files" in field.model_fields_set and not field.many:
                    yield f"{path}: max_files needs many = true."
        except ConfigurationError as error:
            yield str(error)


def _in_panel(settings: "Settings") -> Iterator[str]:
    if not settings.admin:
        return
    missing = missing_for_panel()
    if missing is not None:
        yield (
            f"{PREFIX}ADMIN is on, but {missing} is not installed here: install the panel "
            "with `pip install '.[admin]'` in its source, or leave the setting out."
        )
    if settings.secret_key is None:
        yield (
            f"{PREFIX}ADMIN is on, but {PREFIX}SECRET_KEY is not set, which signs the panel's "
            "forms: make one with `openssl rand -hex 32`."
        )


def _in_bucket_events(settings: "Settings") -> Iterator[str]:
    told = settings.bucket_events_token or settings.bucket_events_networks
    if settings.bucket_events_url and not told:
        yield (
            f"{PREFIX}BUCKET_EVENTS_URL is set, but nobody may tell: set "
            f"{PREFIX}BUCKET_EVENTS_TOKEN, with `openssl rand -hex 32`, or "
            f"{PREFIX}BUCKET_EVENTS_NETWORKS to the store's network."
        )
    if settings.bucket_events_queue:
        try:
            queue_arn(settings.bucket_events_queue, settings.aws_s3_region_name)
        except ValueError as error:
            yield f"{PREFIX}BUCKET_EVENTS_QUEUE: {error}"


def _in_scans(settings: "Settings") -> Iterator[str]:
    """clamd says OK of what lies beyond its limits, so none of it may be larger than those."""
    for name, one in settings.destinations.items():
        if one.scan == "off" or one.scanner != "clamd":
            continue
        own = f"{PREFIX}DESTINATIONS__{name.upper()}"
        if settings.clamd_url is None:
            yield (
                f"destinations.{name}: scan is required, but {PREFIX}CLAMD_URL is not set: set it "
                f"to clamd's address (tcp://host:3310), or {own}__SCANNER to guardduty or api."
            )
        elif one.max_size > settings.clamd_max_size:
            takes, scans = two_sizes(one.max_size, settings.clamd_max_size)
            yield (
                f"destinations.{name}: it takes {takes}, and clamd scans {scans} of a file: set "
                f"{own}__MAX_SIZE to {settings.clamd_max_size} or less, or raise clamd's limits "
                f"and {PREFIX}CLAMD_MAX_SIZE, or name another scanner in {own}__SCANNER."
            )


def _in_credentials(settings: "Settings") -> Iterator[str]:
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        missing = "AWS_SECRET_ACCESS_KEY" if settings.aws_access_key_id else "AWS_ACCESS_KEY_ID"
        yield f"{missing} is not set, but its other half is: set both or none."
    elif settings.aws_session_token and settings.aws_access_key_id is None:
        yield "AWS_ACCESS_KEY_ID is not set, but AWS_SESSION_TOKEN is: a token goes with its keys."
    if settings.credentials_expire_at and settings.aws_session_token is None:
        yield (
            f"{PREFIX}CREDENTIALS_EXPIRE_AT is set, but AWS_SESSION_TOKEN, whose end it names, is "
            "not: keys without a token do not end, and those of a profile or role name their end."
        )
    for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and (not text.isascii() or not text.isprintable() or " " in text):
            yield f"{name.upper()} has a space, a line break or a special character in it."


def _in_overlaps(destinations: Mapping[str, Destination]) -> Iterator[str]:
    ordered = sorted(destinations.values(), key=lambda d: (d.bucket, d.prefix))
    for i, shorter in enumerate(ordered):
        for longer in ordered[i + 1 :]:
            if shorter.bucket == longer.bucket and longer.prefix.startswith(shorter.prefix):
                yield (
                    f"destinations.{longer.name} (key_prefix {longer.prefix!r}) lies within "
                    f"destinations.{shorter.name} (key_prefix {shorter.prefix!r}) of the same "
                    "bucket: give them prefixes of which neither starts with the other."
                )
