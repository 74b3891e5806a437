"""Settings: parsed once at the start, handed down, never a global.

Three sources, the first wins: the environment, the TOML file that CLAIMCHECK_CONFIG names, the
defaults here. The AWS and Heroku names are those a team has already; our own start with
CLAIMCHECK_. In TOML each setting is its name here in lower case; destinations and the fields of
records are tables: `[destinations.images]`, `[records.product.picture]`.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.destination import Destination, split_words
from app.core.jwt_settings import JwtSettings
from app.core.object_url import AddressingStyle, UnsignableValue, bucket_address
from app.core.record_field import RecordField
from app.core.sigv4 import MAX_EXPIRES_IN
from app.errors import ConfigurationError
from app.settings.messages import in_words, refuse_misspelt
from app.settings.panel import missing_for_panel
from app.settings.sources import PREFIX, Environment, below_environment
from app.settings.values import (
    BucketName,
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

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


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
    environ: ClassVar[Mapping[str, str]] = {}

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
    rate_limit: Limit = None
    rate_limit_failures: Limit = None
    rate_limit_storage_url: RedisUrl | None = None
    outlive_maker: bool = False
    max_pending_uploads: int | None = Field(None, ge=1, le=1_000_000)
    database_pool_size: int = Field(5, ge=1, le=1000)
    database_transaction_pooling: bool = False
    destinations: dict[str, Destination] = Field(min_length=1)
    records: dict[str, dict[str, RecordField]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent_auth(self) -> Self:
        if "none" in self.auth and len(self.auth) > 1:
            raise ValueError(f"{PREFIX}AUTH: none goes with nothing else")
        if "jwt" in self.auth and self.jwt is None:
            raise ValueError(
                f"{PREFIX}AUTH has jwt, so say whose: {PREFIX}JWT__ISSUER, {PREFIX}JWT__AUDIENCE "
                f"and {PREFIX}JWT__JWKS_URL or {PREFIX}JWT__SECRET"
            )
        if self.jwt is not None and "jwt" not in self.auth:
            raise ValueError(f"{PREFIX}JWT__... is set, but {PREFIX}AUTH does not have jwt")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        below = InitSettingsSource(settings_cls, init_kwargs=below_environment(cls.environ))
        return init_settings, Environment(settings_cls, cls.environ), below

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


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The checked settings of this environment.

    Raises ConfigurationError, whose one message names every setting that is wrong, with the name
    under which the reader wrote it.
    """
    refuse_misspelt(Settings.model_fields, environ)
    reader = type("Settings", (Settings,), {"environ": environ, "__module__": __name__})
    try:
        settings: Settings = reader()
        destinations = {
            name: _resolve(name, destination, settings)
            for name, destination in settings.destinations.items()
        }
    except ValidationError as error:
        raise ConfigurationError(in_words(error, Settings.model_fields, environ)) from None
    _refuse_half_credentials(settings)
    _refuse_overlaps(destinations)
    _check_records(settings)
    _check_admin(settings)
    return settings.model_copy(update={"destinations": destinations})


def _resolve(name: str, destination: Destination, settings: Settings) -> Destination:
    """The destination with every global default filled in."""
    _check_name(f"destinations.{name}", name)
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


def _check_name(path: str, name: str) -> None:
    # Lower case, or the environment could not speak of what TOML declares.
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{path}: use lower-case letters, digits, '-' and '_' in names, "
            "at most 63, a letter or digit first"
        )


def _check_records(settings: Settings) -> None:
    for record_type, fields in settings.records.items():
        _check_name(f"records.{record_type}", record_type)
        for name, field in fields.items():
            path = f"records.{record_type}.{name}"
            _check_name(path, name)
            if field.destination not in settings.destinations:
                known = ", ".join(sorted(settings.destinations))
                raise ConfigurationError(
                    f"{path}: there is no destination {field.destination!r}; there are: {known}."
                )
            if "max_files" in field.model_fields_set and not field.many:
                raise ConfigurationError(f"{path}: max_files needs many = true.")


def _check_admin(settings: Settings) -> None:
    if not settings.admin:
        return
    missing = missing_for_panel()
    if missing is not None:
        raise ConfigurationError(
            f"{PREFIX}ADMIN is on, but {missing} is not installed here: install the panel "
            "with `pip install '.[admin]'` in its source, or leave the setting out."
        )
    if settings.secret_key is None:
        raise ConfigurationError(
            f"{PREFIX}ADMIN is on, but {PREFIX}SECRET_KEY is not set, which signs the panel's "
            "forms: make one with `openssl rand -hex 32`."
        )


def require_deployed(settings: Settings, *, on_this_machine: bool = False) -> None:
    """Refuse what only the embedded default may do without: a database, a bucket, authentication.

    `on_this_machine` (`claimcheck dev`) allows `auth = none`, but it must be said.
    Raises ConfigurationError, which names the setting.
    """
    require_stores(settings)
    if not settings.auth or (settings.open_here and not on_this_machine):
        state = "none is for `claimcheck dev`" if settings.auth else "not set"
        raise ConfigurationError(
            f"{PREFIX}AUTH is {state}, and every request needs a credential: set it to "
            "keys (API keys, made with `claimcheck keys create`), to jwt, or to jwt,keys."
        )


def require_stores(settings: Settings) -> None:
    """Refuse to go on without a database or a bucket; commands that serve no requests need no more.

    Raises ConfigurationError, which names the setting.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set: give a PostgreSQL URL (postgres://user:password@host/name), "
            "or start everything on this machine with `claimcheck dev`."
        )
    for destination in settings.destinations.values():
        if not destination.bucket:
            raise ConfigurationError(
                f"destinations.{destination.name} has no bucket: set AWS_STORAGE_BUCKET_NAME, "
                f"or {PREFIX}DESTINATIONS__{destination.name.upper()}__BUCKET."
            )


def _refuse_half_credentials(settings: Settings) -> None:
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        missing = "AWS_SECRET_ACCESS_KEY" if settings.aws_access_key_id else "AWS_ACCESS_KEY_ID"
        raise ConfigurationError(f"{missing} is not set, but its other half is: set both or none.")
    if settings.aws_session_token and settings.aws_access_key_id is None:
        raise ConfigurationError(
            "AWS_ACCESS_KEY_ID is not set, but AWS_SESSION_TOKEN is: a token goes with its keys."
        )
    if settings.credentials_expire_at and settings.aws_session_token is None:
        raise ConfigurationError(
            f"{PREFIX}CREDENTIALS_EXPIRE_AT is set, but AWS_SESSION_TOKEN, whose end it names, is "
            "not: keys without a token do not end, and those of a profile or role name their end."
        )
    for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and (not text.isascii() or not text.isprintable() or " " in text):
            raise ConfigurationError(
                f"{name.upper()} has a space, a line break or a special character in it."
            )


def _refuse_overlaps(destinations: Mapping[str, Destination]) -> None:
    ordered = sorted(destinations.values(), key=lambda d: (d.bucket, d.prefix))
    for i, shorter in enumerate(ordered):
        for longer in ordered[i + 1 :]:
            if shorter.bucket == longer.bucket and longer.prefix.startswith(shorter.prefix):
                raise ConfigurationError(
                    f"destinations.{longer.name} (key_prefix {longer.prefix!r}) lies within "
                    f"destinations.{shorter.name} (key_prefix {shorter.prefix!r}) of the same "
                    "bucket: give them prefixes of which neither starts with the other."
                )
