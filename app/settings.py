"""Settings: parsed once at the start, handed down, never a global.

Three sources, the first wins: the environment, the TOML file that CLAIMCHECK_CONFIG names, the
defaults here. The AWS and Heroku names are those a team has already; our own start with
CLAIMCHECK_. In TOML each setting is its name here in lower case; destinations and the fields of
records are tables: `[destinations.images]`, `[records.product.picture]`.
"""

import difflib
import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, ClassVar, Final, Literal, Self

from limits import RateLimitItem, parse_many
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.database_url import normalize_database_url
from app.core.destination import Destination, Words, split_words
from app.core.jwt_settings import JwtSettings
from app.core.object_url import AddressingStyle, UnsignableValue, bucket_address
from app.core.record_field import RecordField
from app.core.sigv4 import MAX_EXPIRES_IN
from app.errors import ConfigurationError
from app.panel import missing_for_panel
from app.settings_sources import CONFIG, PREFIX, Environment, below_environment

MIN_SECRET: Final = 32
MAX_PROXIES: Final = 10

# Read by AWS libraries themselves (one a service); near enough to be taken for misspellings.
_AWS_OWN: Final = "AWS_ENDPOINT_URL"
_TABLES: Final = tuple(f"{PREFIX}{table}__" for table in ("DESTINATIONS", "RECORDS", "JWT"))
# How like one of our names an unknown AWS_ name is taken for it. AWS_BUCKET_NAME must be, at 0.79;
# of the names that AWS tools read themselves AWS_SESSION_EXPIRATION comes nearest, at 0.77.
_NEAR: Final = 0.78
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _networks(value: object) -> object:
    words = split_words(value)
    return [ip_network(str(word)) for word in words] if isinstance(words, list) else words


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


def _proxies(value: object) -> object:
    if not str(value).isdecimal():
        return _networks(value)
    if int(str(value)) > MAX_PROXIES:
        raise ValueError(f"more than {MAX_PROXIES} proxies; for networks write 10.0.0.0/8")
    return int(str(value))


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
        None,
        validation_alias=AliasChoices("AWS_ACCESS_KEY_ID", "BUCKETEER_AWS_ACCESS_KEY_ID"),
    )
    aws_secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY", "BUCKETEER_AWS_SECRET_ACCESS_KEY"),
    )
    aws_session_token: SecretStr | None = Field(None, validation_alias="AWS_SESSION_TOKEN")
    aws_storage_bucket_name: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_STORAGE_BUCKET_NAME", "BUCKETEER_BUCKET_NAME"),
    )
    aws_s3_region_name: str = Field(
        "us-east-1",
        min_length=1,
        validation_alias=AliasChoices(
            "AWS_S3_REGION_NAME", "BUCKETEER_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"
        ),
    )
    aws_s3_endpoint_url: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "AWS_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
    )
    aws_s3_public_endpoint_url: str | None = Field(
        None, validation_alias="AWS_S3_PUBLIC_ENDPOINT_URL"
    )
    aws_s3_addressing_style: AddressingStyle = Field(
        "auto", validation_alias="AWS_S3_ADDRESSING_STYLE"
    )
    aws_presigned_url_expiration_time_minutes: int = Field(
        60, ge=1, le=10_080, validation_alias="AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES"
    )
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    port: int = Field(8000, ge=1, le=65_535, validation_alias="PORT")

    auth: Annotated[tuple[Literal["none", "jwt", "keys"], ...], BeforeValidator(split_words)] = ()
    jwt: JwtSettings | None = None
    admin: bool = False
    host: str | None = None
    secret_key: SecretStr | None = None
    cors_origins: Words = ()
    trusted_proxies: Annotated[
        int | tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_proxies)
    ] = 0
    metrics_token: SecretStr | None = Field(None, min_length=16)
    metrics_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)
    ] = ()
    rate_limit: Annotated[InstanceOf[RateLimitItem] | None, BeforeValidator(_limit)] = None
    rate_limit_failures: Annotated[InstanceOf[RateLimitItem] | None, BeforeValidator(_limit)] = None
    rate_limit_storage_url: SecretStr | None = None
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

    @field_validator("aws_s3_endpoint_url", "aws_s3_public_endpoint_url")
    @classmethod
    def _usable_endpoint(cls, url: str | None) -> str | None:
        bucket_address(url, "bucket", "region")
        return None if url is None else url.rstrip("/")

    @field_validator("aws_storage_bucket_name")
    @classmethod
    def _usable_bucket(cls, bucket: str | None) -> str | None:
        if bucket is not None:
            bucket_address(None, bucket, "region")
        return bucket

    @field_validator("aws_s3_region_name")
    @classmethod
    def _usable_region(cls, region: str) -> str:
        bucket_address(None, "bucket", region)
        return region

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        return url and SecretStr(normalize_database_url(url.get_secret_value()))

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        # Whoever sees a grant in a page may try keys on it for as long as he likes.
        if key is not None and len(key.get_secret_value()) < MIN_SECRET:
            raise ValueError(
                f"needs {MIN_SECRET} characters or more; make one with `openssl rand -hex 32`"
            )
        return key

    @field_validator("rate_limit_storage_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        origins = tuple(origin.lower() for origin in origins)
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if scheme not in {"http", "https"} or not host or "*" in host or "/" in host:
                raise ValueError(
                    f"{origin!r} is not an exact origin; write https://www.example.com, "
                    "without path or wildcard"
                )
        return origins

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
        """Whether everyone on this machine is let in, and nobody else (`auth = none`)."""
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
    _refuse_misspelt(environ)
    reader = type("Settings", (Settings,), {"environ": environ, "__module__": __name__})
    try:
        settings: Settings = reader()
        destinations = {
            name: _resolve(name, destination, settings)
            for name, destination in settings.destinations.items()
        }
    except ValidationError as error:
        raise ConfigurationError(_in_words(error, environ)) from None
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
            "addressing_style": destination.addressing_style
            if "addressing_style" in given
            else settings.aws_s3_addressing_style,
            "upload_expires_in": destination.upload_expires_in
            if "upload_expires_in" in given
            else settings.expiry,
            "link_expires_in": destination.link_expires_in
            if "link_expires_in" in given
            else settings.expiry,
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
            f"{PREFIX}AUTH is {state}, and nobody is let in who cannot say who he is: set it to "
            "keys (API keys, made with `claimcheck keys create`), to jwt, or to jwt,keys."
        )


def require_stores(settings: Settings) -> None:
    """Refuse to go on without a database or a bucket: all that commands need which let nobody in.

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


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    known = {CONFIG}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        if alias is None:
            known.add(PREFIX + name.upper())
        else:
            known |= set(alias.choices) if isinstance(alias, AliasChoices) else {str(alias)}  # type: ignore[arg-type]
    for given in environ:
        name = given.upper()
        if name in known or name.startswith((_AWS_OWN, *_TABLES)):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
        if name.startswith((PREFIX, "BUCKETEER_")) or (near and name.startswith("AWS_")):
            guess = near or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f" Did you mean {guess[0]}?" if guess else ""
            raise ConfigurationError(f"{given} is not a setting.{hint}")


def _as_written(path: str, environ: Mapping[str, str]) -> str:
    """The name under which the reader set what pydantic calls `path`."""
    head, *inner = path.split(".")
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        if name == head and alias is None and name not in {"destinations", "records"}:
            parts = [name, *(part for part in inner if not part.isdigit())]
            return PREFIX + "__".join(parts).upper()
        if isinstance(alias, AliasChoices) and path in alias.choices:
            return next((str(c) for c in alias.choices if environ.get(str(c))), path)
    return path


def _refuse_half_credentials(settings: Settings) -> None:
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        missing = "AWS_SECRET_ACCESS_KEY" if settings.aws_access_key_id else "AWS_ACCESS_KEY_ID"
        raise ConfigurationError(f"{missing} is not set, but its other half is: set both or none.")
    if settings.aws_session_token and settings.aws_access_key_id is None:
        raise ConfigurationError(
            "AWS_ACCESS_KEY_ID is not set, but AWS_SESSION_TOKEN is: a token goes with its keys."
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


def _in_words(error: ValidationError, environ: Mapping[str, str]) -> str:
    """One line a setting: its name, what is wrong with it. Never its value: it may be a secret."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        known = _as_written(path, environ)
        if item["type"] == "extra_forbidden":
            last = str(item["loc"][-1])
            tables: dict[str, type[BaseModel]] = {
                "destinations": Destination,
                "records": RecordField,
                "jwt": JwtSettings,
            }
            names = tables.get(str(item["loc"][0]), Settings).model_fields
            near = difflib.get_close_matches(last, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            lines.append(f"{known} is not a setting.{hint}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{known}: {message}" if known else message)
    return "\n".join(lines)
