"""Settings: parsed once at the start, handed down, never a global.

Three sources, the first wins: the environment, the TOML file that CLAIMCHECK_CONFIG names, the
defaults here. The AWS and Heroku names are those a team has already; our own start with
CLAIMCHECK_. In TOML each setting is its name here in lower case; destinations and the fields of
records are tables: `[destinations.images]`, `[records.product.picture]`.
"""

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.destination import Destination, split_words
from app.core.jwt_settings import JwtSettings
from app.core.object_url import AddressingStyle, UnsignableValue, bucket_address
from app.core.parts import MIB
from app.core.record_field import RecordField
from app.core.sigv4 import MAX_EXPIRES_IN
from app.errors import ConfigurationError
from app.settings.checks import check_name, faults_across, faults_of_stores
from app.settings.messages import Faults, in_words, misspelt
from app.settings.quotas import QuotaSettings
from app.settings.sources import PREFIX, Below, Environment
from app.settings.values import (
    BucketName,
    ClamdUrl,
    Endpoint,
    Limit,
    Moment,
    Networks,
    Origins,
    PostgresqlUrl,
    Proxies,
    RedisUrl,
    Region,
    SecretKey,
)

# A setting that is wrong is left out, to find what else is: each time one layer of a table deeper.
_ROUNDS: Final = 5


class EventSettings(BaseModel):
    """Settings of events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Seconds that they are kept: 30 days.
    retention: int = Field(2_592_000, ge=3600, le=31_536_000)


class Settings(BaseSettings):
    """All settings, checked. Build it with `load_settings`, which turns errors into words."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
    )

    aws_access_key_id: str | None = Field(
        None, validation_alias=AliasChoices("AWS_ACCESS_KEY_ID", "BUCKETEER_AWS_ACCESS_KEY_ID")
    )
    aws_secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY", "BUCKETEER_AWS_SECRET_ACCESS_KEY"),
    )
    aws_session_token: SecretStr | None = Field(None, validation_alias="AWS_SESSION_TOKEN")
    credentials_expire_at: Moment | None = None
    aws_storage_bucket_name: BucketName | None = Field(
        None, validation_alias=AliasChoices("AWS_STORAGE_BUCKET_NAME", "BUCKETEER_BUCKET_NAME")
    )
    aws_s3_region_name: Region = Field(
        "us-east-1",
        min_length=1,
        validation_alias=AliasChoices(
            "AWS_S3_REGION_NAME", "BUCKETEER_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"
        ),
    )
    aws_s3_endpoint_url: Endpoint | None = Field(
        None,
        validation_alias=AliasChoices(
            "AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
    )
    aws_s3_public_endpoint_url: Endpoint | None = Field(
        None, validation_alias="AWS_S3_PUBLIC_ENDPOINT_URL"
    )
    aws_s3_addressing_style: AddressingStyle = Field(
        "auto", validation_alias="AWS_S3_ADDRESSING_STYLE"
    )
    aws_presigned_url_expiration_time_minutes: int = Field(
        60, ge=1, le=10_080, validation_alias="AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES"
    )
    database_url: PostgresqlUrl | None = Field(None, validation_alias="DATABASE_URL")
    port: int = Field(8000, ge=1, le=65_535, validation_alias="PORT")
    web_concurrency: int = Field(1, ge=1, le=1000, validation_alias="WEB_CONCURRENCY")

    auth: Annotated[tuple[Literal["none", "jwt", "keys"], ...], BeforeValidator(split_words)] = ()
    jwt: JwtSettings | None = None
    admin: bool = False
    host: str | None = None
    secret_key: SecretKey | None = None
    cors_origins: Origins = ()
    trusted_proxies: Proxies = 0
    metrics_token: SecretStr | None = Field(None, min_length=16)
    metrics_networks: Networks = ()
    bucket_events_token: SecretStr | None = Field(None, min_length=16)
    bucket_events_networks: Networks = ()
    bucket_events_url: Endpoint | None = None
    bucket_events_queue: Endpoint | None = None
    webhook_networks: Networks = ()
    clamd_url: ClamdUrl | None = None
    # Bytes of the largest file that clamd scans; what it stands at by default.
    clamd_max_size: int = Field(100 * MIB, ge=1024, le=2_147_483_647)
    rate_limit: Limit = None
    rate_limit_failures: Limit = None
    rate_limit_storage_url: RedisUrl | None = None
    outlive_maker: bool = False
    quota: QuotaSettings = QuotaSettings()
    database_pool_size: int = Field(5, ge=1, le=1000)
    database_transaction_pooling: bool = False
    events: EventSettings = EventSettings()
    destinations: dict[str, Destination] = Field(min_length=1)
    records: dict[str, dict[str, RecordField]] = Field(default_factory=dict)

    @property
    def open_here(self) -> bool:
        """Whether requests of this machine need no credential, and others are refused."""
        return "none" in self.auth

    @property
    def expiry(self) -> int:
        """Seconds that uploads and links live where a destination says nothing else."""
        return self.aws_presigned_url_expiration_time_minutes * 60

    def destination_of(self, name: str, bucket: str) -> Destination:
        """The destination through which a file stored under this name and bucket is reached.

        A destination may have been renamed, moved to another bucket or taken out since: then it
        is whichever has the file's bucket, or the global one, so that no file is ever lost.
        """
        named = self.destinations.get(name)
        if named is not None and named.bucket == bucket:
            return named
        for destination in self.destinations.values():
            if destination.bucket == bucket:
                return destination
        return _resolve("retired", Destination(bucket=bucket), self)

    def every_destination(self) -> list[Destination]:
        """The declared ones, and the global one that files of a retired one are reached through."""
        return [*self.destinations.values(), _resolve("retired", Destination(), self)]


def load_settings(
    environ: Mapping[str, str] = os.environ, check: Callable[[Settings], None] | None = None
) -> Settings:
    """The checked settings of this environment; `check` raises ConfigurationError for what its
    caller needs besides.

    Raises ConfigurationError, whose one message has a line for every setting that is wrong, with
    the name under which the reader wrote it.
    """
    faults = Faults()
    environ = dict(environ)
    for name, meant, line in [*misspelt(Settings.model_fields, environ)]:
        faults.add(line, meant)
        del environ[name]
    settings = _read(environ, faults)
    if settings is not None:
        settings = _with_destinations(settings, faults)
        for line in faults_across(settings):
            faults.add_unless_explained(line)
        _ask(check, settings, faults)
    if faults.lines or settings is None:
        raise ConfigurationError("\n".join(faults.lines))
    return settings


def _read(environ: Mapping[str, str], faults: Faults) -> Settings | None:
    """The settings but for those that are wrong, which go to the faults; None: there is no sense
    in the rest without them.
    """
    left_out: set[tuple[int | str, ...]] = set()
    for number in range(_ROUNDS):
        try:
            sources = (
                Environment(Settings, environ, left_out),
                Below(Settings, environ, left_out),
            )
            found = Settings(_build_sources=(sources, {}))
        except ConfigurationError as error:
            faults.add(str(error))
            return None
        except ValidationError as error:
            for fault in in_words(error, Settings.model_fields, environ):
                if number == 0:
                    faults.add(fault.line, *fault.names)
                elif not fault.is_absence:  # else it was left out here
                    faults.add_unless_explained(fault.line)
                left_out.add(fault.path)
            if () in left_out:
                return None
        else:
            return found
    return None


def _with_destinations(settings: Settings, faults: Faults) -> Settings:
    destinations = {}
    for name, destination in settings.destinations.items():
        try:
            destinations[name] = _resolve(name, destination, settings)
        except ConfigurationError as error:
            faults.add_unless_explained(str(error))
            faults.add_name(f"destination {name!r}")
    return settings.model_copy(update={"destinations": destinations})


def _ask(check: Callable[[Settings], None] | None, settings: Settings, faults: Faults) -> None:
    if check is None:
        return
    try:
        check(settings)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            faults.add_unless_explained(line)


def _resolve(name: str, destination: Destination, settings: Settings) -> Destination:
    """The destination with every global default filled in."""
    check_name(f"destinations.{name}", name)
    given = destination.model_fields_set
    if "name" in given:
        raise ConfigurationError(f"destinations.{name}.name is not a setting.")
    defaults = {
        "addressing_style": settings.aws_s3_addressing_style,
        "upload_expires_in": settings.expiry,
        "link_expires_in": settings.expiry,
    }
    endpoint = destination.endpoint_url or settings.aws_s3_endpoint_url
    # A destination with an endpoint of its own does not take the global public one.
    public = destination.public_endpoint_url or (
        destination.endpoint_url or settings.aws_s3_public_endpoint_url or endpoint
    )
    resolved = destination.model_copy(
        update={
            "name": name,
            "bucket": destination.bucket or settings.aws_storage_bucket_name or "",
            "region": destination.region or settings.aws_s3_region_name,
            "endpoint_url": endpoint and endpoint.rstrip("/"),
            "public_endpoint_url": public and public.rstrip("/"),
            **{name: value for name, value in defaults.items() if name not in given},
        }
    )
    if resolved.link_expires_in + resolved.window > MAX_EXPIRES_IN:
        raise ConfigurationError(
            f"destinations.{name}: link_expires_in and link_window are more than "
            f"{MAX_EXPIRES_IN} seconds together, the longest that a link can live"
        )
    try:
        for url in (resolved.endpoint_url, resolved.public_endpoint_url):
            bucket_address(url, resolved.bucket or "bucket", resolved.region)
    except UnsignableValue as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from None
    return resolved


def require_deployed(settings: Settings, *, on_this_machine: bool = False) -> None:
    """Refuse what only the embedded default may do without: a database, a bucket, authentication.

    `on_this_machine` (`claimcheck dev`) allows `auth = none`, but it must be said.
    Raises ConfigurationError, which names every such setting.
    """
    lines = [*faults_of_stores(settings)]
    if not settings.auth or (settings.open_here and not on_this_machine):
        state = "none, which `claimcheck dev` alone takes" if settings.auth else "not set"
        lines.append(
            f"{PREFIX}AUTH is {state}, and every request needs a credential: set it to "
            "keys (API keys, made with `claimcheck keys create`), to jwt, or to jwt,keys."
        )
    if lines:
        raise ConfigurationError("\n".join(lines))


def require_stores(settings: Settings) -> None:
    """Refuse to go on without a database or a bucket; commands that serve no requests need no more.

    Raises ConfigurationError, which names every such setting.
    """
    lines = [*faults_of_stores(settings)]
    if lines:
        raise ConfigurationError("\n".join(lines))
