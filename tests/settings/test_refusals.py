"""Wrong settings stop the start, each by its name."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from app.errors import ConfigurationError
from app.settings.model import Settings, load_settings, require_deployed
from app.settings.panel import missing_for_panel
from tests.settings.steps import DESTINATION, HEROKU, SECRET, load, refusal


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CLAIMCHECK_AUHT", "CLAIMCHECK_AUTH"),
        ("claimcheck_auht", "CLAIMCHECK_AUTH"),
        ("CLAIMCHECK_DESTINATION__IMAGES__BUCKET", "CLAIMCHECK_DESTINATIONS__IMAGES__BUCKET"),
        ("CLAIMCHECK_HOST__X", "CLAIMCHECK_HOST"),
        ("CLAIMCHECK_", ""),
        ("BUCKETEER_BUCKET", "BUCKETEER_BUCKET_NAME"),
        ("AWS_ACCES_KEY_ID", "AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_BUCKET_NAME", "AWS_STORAGE_BUCKET_NAME"),
        ("AWS_STORAGE_BUCKET", "AWS_STORAGE_BUCKET_NAME"),
        ("AWS_S3_REGION", "AWS_S3_REGION_NAME"),
        ("AWS_REGON", "AWS_REGION"),
        ("CLAIMCHECK_PORT", "PORT"),
        ("CLAIMCHECK_DATABASE_URL", "DATABASE_URL"),
        ("CLAIMCHECK_JWT_ISSUER", "CLAIMCHECK_JWT__ISSUER"),
        ("CLAIMCHECK_DESTINATIONS_IMAGES__BUCKET", "CLAIMCHECK_DESTINATIONS__IMAGES__BUCKET"),
        ("AWS_S3_ENDPOINT", "AWS_S3_ENDPOINT_URL"),
        ("AWS_PRESIGNED_URL_EXPIRATION_MINUTES", "AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES"),
    ],
)
def test_misspelt_names_stop_the_start(name: str, hint: str) -> None:
    message = refusal(**{name: SECRET})
    assert message.startswith(f"{name} is not a setting.")
    assert "\n" not in message
    if hint:
        assert message.endswith(f"Did you mean {hint}?")
    assert SECRET not in message


def test_names_of_clients_may_be_there() -> None:
    """Who runs a client and a command of the service in one shell has both."""
    message = refusal(CLAIMCHECK_URL="http://127.0.0.1:8000", CLAIMCHECK_KEY=SECRET, PORT="x")
    assert message == refusal(PORT="x")
    assert "is not a setting" not in message


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", SECRET, "write a whole number"),
        ("PORT", "65536", "must be at most 65_535"),
        ("CLAIMCHECK_CLAMD_URL", "10.0.0.5:3310", "write tcp://host:3310 or unix:///"),
        ("CLAIMCHECK_CLAMD_URL", "tcp://10.0.0.5", "write tcp://host:3310 or unix:///"),
        ("CLAIMCHECK_CLAMD_URL", "tcp://10.0.0.5:clamd", "write tcp://host:3310 or unix:///"),
        ("CLAIMCHECK_CLAMD_URL", "unix://run/clamd.ctl", "write tcp://host:3310 or unix:///"),
        ("CLAIMCHECK_CLAMD_MAX_SIZE", "2147483648", "must be at most 2_147_483_647"),
        ("WEB_CONCURRENCY", SECRET, "write a whole number"),
        ("WEB_CONCURRENCY", "0", "must be at least 1"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "0", "must be at least 1 minute"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "10081", "must be at most 10_080 minutes"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "1.5", "write a whole number of minutes"),
        ("AWS_S3_ENDPOINT_URL", f"https://u:{SECRET}@s3.example", "without user"),
        ("AWS_S3_ENDPOINT_URL", "s3.example.com", "write https://s3.example.com"),
        ("AWS_S3_ENDPOINT_URL", "minio:9000", "write https://minio:9000"),
        ("AWS_S3_ENDPOINT_URL", "https://", "http(s)://host"),
        ("AWS_S3_PUBLIC_ENDPOINT_URL", "https://s3 .example", "http(s)://host"),
        ("AWS_S3_PUBLIC_ENDPOINT_URL", "https://s3.example?x=1", "http(s)://host"),
        ("AWS_S3_ADDRESSING_STYLE", "vhost", "write one of auto, virtual or path"),
        ("AWS_STORAGE_BUCKET_NAME", "my bucket", "letters, digits"),
        ("BUCKETEER_BUCKET_NAME", "my/bucket", "letters, digits"),
        ("AWS_S3_REGION_NAME", "eu west", "letters, digits"),
        ("AWS_DEFAULT_REGION", "eu.west", "letters, digits"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/d", "postgres://"),
        ("DATABASE_URL", SECRET, "postgres://"),
        ("CLAIMCHECK_AUTH", SECRET, "write one of none, jwt or keys"),
        ("CLAIMCHECK_DATABASE_POOL_SIZE", "0", "must be at least 1"),
        ("CLAIMCHECK_DATABASE_TRANSACTION_POOLING", "perhaps", "write true or false"),
        ("CLAIMCHECK_CORS_ORIGINS", "https://*.example.com", "not an exact origin"),
        ("CLAIMCHECK_CORS_ORIGINS", "https://example.com/", "not an exact origin"),
        ("CLAIMCHECK_CORS_ORIGINS", "example.com", "not an exact origin"),
        ("CLAIMCHECK_CREDENTIALS_EXPIRE_AT", SECRET, "offset from UTC"),
        ("CLAIMCHECK_CREDENTIALS_EXPIRE_AT", "1795379400", "offset from UTC"),
        ("CLAIMCHECK_CREDENTIALS_EXPIRE_AT", "2026-11-22", "offset from UTC"),
        ("CLAIMCHECK_CREDENTIALS_EXPIRE_AT", "2026-11-22T20:07:11", "offset from UTC"),
        ("CLAIMCHECK_CREDENTIALS_EXPIRE_AT", "0001-01-01T00:00:00+23:00", "offset from UTC"),
        ("CLAIMCHECK_CONFIG", "/no/such/file.toml", "cannot read"),
    ],
)
def test_wrong_values_stop_the_start(name: str, value: str, says: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name}: ")
    assert says in message
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("auht = 'none'", "auht is not a setting. Did you mean auth?"),
        ("CLAIMCHECK_AUTH = 'keys'", "CLAIMCHECK_AUTH is not a setting. Did you mean auth?"),
        ("aws_storage_bucket = 'b'", "Did you mean aws_storage_bucket_name?"),
        ("[destination.images]\nmax_size = 1", "destination is not a setting. Did you mean dest"),
        ("[destinations.images]\nmaxsize = 1", "destinations.images.maxsize is not a setting."),
        ("[destinations.Images]\nmax_size = 1", "destinations.Images: use lower-case letters"),
        (f"database_url = '{SECRET}'", "DATABASE_URL: must start with"),
        ("database_url = ''", "DATABASE_URL: must start with"),
        ("destinations = 3", "destinations: is a table of settings"),
        (f"auth = '{SECRET}", "is not TOML"),
    ],
)
def test_wrong_toml_stops_the_start(toml, text: str, says: str) -> None:
    message = refusal(**toml(text))
    assert says in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CLAIMCHECK_JWT__JWKS_URL", "http://id.example.com/keys", "must be https"),
        ("CLAIMCHECK_JWT__SECRET", "hunter2", "must have 32 bytes or more"),
    ],
)
def test_an_issuers_keys_that_are_wrong_are_not_called_missing(
    name: str, value: str, says: str
) -> None:
    issuer = {
        "CLAIMCHECK_AUTH": "jwt",
        "CLAIMCHECK_JWT__ISSUER": "https://id.example.com/",
        "CLAIMCHECK_JWT__AUDIENCE": "a",
    }
    assert refusal(**issuer).endswith("give either jwks_url or secret")
    message = refusal(**issuer, **{name: value})
    assert message.startswith(f"{name}: {says}")
    assert "\n" not in message


def test_every_wrong_setting_is_named_at_once(toml) -> None:
    """Misspelt names, wrong values, what does not go together and what is missing."""
    environ = {
        "PORT": "abc",
        "AWS_S3_REGION": "eu-west-1",
        "BUCKETEER_BUCKET_NAME": "a b",
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "CLAIMCHECK_AUTH": "key",
        "CLAIMCHECK_ADMIN": "true",
        "CLAIMCHECK_CORS_ORIGINS": "https://www.example.com/",
        f"{DESTINATION}IMAGES__MAX_SIZE": "5MB",
        f"{DESTINATION}VIDEOS__KMS_KEY_ID": "k",
        f"{DESTINATION}FILES": "x",
        "CLAIMCHECK_RECORDS__PRODUCT__SHEET__DESTINATION": "file",
        "CLAIMCHECK_RECORDS__PRODUCT__PAGE__DESTINATION": "files",
    }
    environ |= toml("database_pool_size = 'many'")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environ, check=require_deployed)
    begins = {
        "AWS_S3_REGION is not a setting. Did you mean AWS_S3_REGION_NAME?",
        "PORT: write a whole number, in digits",
        "BUCKETEER_BUCKET_NAME: bucket: must be",
        "AWS_SECRET_ACCESS_KEY is not set",
        "CLAIMCHECK_AUTH: write one of none, jwt or keys. Did you mean keys?",
        "CLAIMCHECK_ADMIN is on, but CLAIMCHECK_SECRET_KEY is not set",
        "CLAIMCHECK_CORS_ORIGINS: 'https://www.example.com/' is not an exact origin: it has a",
        "CLAIMCHECK_DATABASE_POOL_SIZE: write a whole number",
        "destinations.images.max_size: write a whole number of bytes: 5_000_000",
        "destinations.videos: kms_key_id needs",
        "destinations.files: is a table of settings",
        "records.product.sheet: there is no destination 'file'",
        # Not that there is no bucket, nor a destination `files`, nor that auth is not set.
        "DATABASE_URL is not set",
    }
    lines = str(refused.value).splitlines()
    assert {begin for begin in begins if any(line.startswith(begin) for line in lines)} == begins
    # Where the panel is not installed, that is wrong, too.
    assert len(lines) == len(begins) + (missing_for_panel() is not None)
    assert refused.value.refusal.splitlines() == [
        "claimcheck cannot start:",
        *(f"  {line}" for line in lines),
    ]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (f"{DESTINATION}IMAGES__MAX_SIZE", "5MB", "of bytes: 5_000_000"),
        (f"{DESTINATION}IMAGES__MAX_SIZE", "5 MiB", "of bytes: 5_242_880"),
        (f"{DESTINATION}IMAGES__MAX_SIZE", "1.5g", "of bytes: 1_500_000_000"),
        (f"{DESTINATION}IMAGES__MIN_SIZE", "10,000", "of bytes: 10_000"),
        (f"{DESTINATION}IMAGES__PART_SIZE", "much", "of bytes, such as 5_000_000"),
        (f"{DESTINATION}IMAGES__PART_SIZE", "5000000", "at least 5_242_880 bytes"),
        (f"{DESTINATION}IMAGES__LINK_EXPIRES_IN", "1h", "of seconds: 3_600"),
        (f"{DESTINATION}IMAGES__LINK_EXPIRES_IN", "1h30m", "of seconds: 5_400"),
        (f"{DESTINATION}IMAGES__UPLOAD_EXPIRES_IN", "PT15M", "of seconds: 900"),
        (f"{DESTINATION}IMAGES__MULTIPART_EXPIRES_IN", "7 days", "of seconds: 604_800"),
        ("CLAIMCHECK_JWT__LEEWAY", "30s", "of seconds: 30"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "2h", "of minutes: 120"),
        ("CLAIMCHECK_AUTH", "key", "Did you mean keys?"),
        ("CLAIMCHECK_AUTH", "JWT", "Did you mean jwt?"),
        ("CLAIMCHECK_AUTH", "jwt keys", "several with commas: jwt,keys"),
        (f"{DESTINATION}IMAGES__METHOD", "PUT", "Did you mean put?"),
        (f"{DESTINATION}IMAGES__ACL", "public-read", "write one of private, bucket-owner-read or"),
        ("CLAIMCHECK_ADMIN", "enabled", "write true or false: true"),
        (f"{DESTINATION}IMAGES__ALLOW_CLIENT_KEYS", "never", "write true or false: false"),
        ("CLAIMCHECK_METRICS_TOKEN", "short", "needs at least 16 characters"),
        ("CLAIMCHECK_METRICS_NETWORKS", "10.0.0.5/8", "write 10.0.0.0/8 for all of it"),
        ("CLAIMCHECK_METRICS_NETWORKS", "inside", "write addresses or networks"),
        ("CLAIMCHECK_TRUSTED_PROXIES", "-1", "write addresses or networks"),
        ("CLAIMCHECK_CORS_ORIGINS", "www.example.com", "no scheme; write https://www.example.com"),
        ("CLAIMCHECK_CORS_ORIGINS", "http://a.example/b?c", "more than scheme, host and port; wri"),
        ("CLAIMCHECK_CORS_ORIGINS", "https://a.example:443", "leave out with https; write https:"),
        ("AWS_S3_ENDPOINT_URL", "minio.local:9000", "write https://minio.local:9000"),
        ("CLAIMCHECK_DESTINATIONS", "{}", "declare at least one"),
    ],
)
def test_a_wrong_value_comes_with_a_right_one(name: str, value: str, says: str) -> None:
    lines = refusal(**{name: value}).splitlines()
    [line] = [line for line in lines if says in line]
    assert line.startswith((name, "destinations"))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        ("BUCKETEER_AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_half_credentials_stop_the_start(given: str, missing: str) -> None:
    message = refusal(**{given: SECRET})
    assert message.startswith(f"{missing} is not set")
    assert SECRET not in message


def test_the_end_of_a_token_goes_with_a_token() -> None:
    ends = {"CLAIMCHECK_CREDENTIALS_EXPIRE_AT": "2026-11-22T21:07:11+01:00"}
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET}
    for environ in (ends, ends | keys):
        message = refusal(**environ)
        assert message.startswith("CLAIMCHECK_CREDENTIALS_EXPIRE_AT is set, but AWS_SESSION_TOKEN")
    taken = load(**ends, **keys, AWS_SESSION_TOKEN=SECRET).credentials_expire_at
    assert taken == datetime(2026, 11, 22, 20, 7, 11, tzinfo=UTC)


def test_secrets_are_not_shown() -> None:
    settings = load(
        AWS_ACCESS_KEY_ID="AKIA1",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_SESSION_TOKEN=SECRET,
        DATABASE_URL=HEROKU,
        CLAIMCHECK_SECRET_KEY=SECRET,
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in shown


@pytest.mark.parametrize("missing", ["DATABASE_URL", "AWS_STORAGE_BUCKET_NAME", "CLAIMCHECK_AUTH"])
def test_a_deployment_needs_database_bucket_and_a_word_on_auth(missing: str) -> None:
    environ = {
        "DATABASE_URL": "postgresql://h/d",
        "AWS_STORAGE_BUCKET_NAME": "bkt",
        "CLAIMCHECK_AUTH": "keys",
    }
    require_deployed(load_settings(environ))
    del environ[missing]
    with pytest.raises(ConfigurationError, match=missing):
        require_deployed(load_settings(environ))


@pytest.mark.parametrize("ending", ["\n", " ", "\r", "é"])
def test_keys_with_something_left_over_are_refused(ending: str) -> None:
    says = refusal(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY=SECRET + ending)
    assert says.startswith("AWS_SECRET_ACCESS_KEY has ")
    assert SECRET not in says


def test_a_port_is_a_port() -> None:
    assert refusal(PORT="0").startswith("PORT")


@pytest.mark.parametrize("value", ["null", "true", "5", "*"])
def test_what_is_no_list_of_origins_is_refused(value: str) -> None:
    assert "is not an exact origin" in refusal(CLAIMCHECK_CORS_ORIGINS=value)


def test_the_panel_needs_a_secret_and_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.settings.checks.missing_for_panel", lambda: None)
    assert load(CLAIMCHECK_ADMIN="true", CLAIMCHECK_SECRET_KEY=SECRET).admin
    assert "CLAIMCHECK_SECRET_KEY is not set" in refusal(CLAIMCHECK_ADMIN="true")
    monkeypatch.setattr("app.settings.checks.missing_for_panel", lambda: "starlette_admin")
    message = refusal(CLAIMCHECK_ADMIN="true", CLAIMCHECK_SECRET_KEY=SECRET)
    assert "starlette_admin is not installed here" in message
    assert ".[admin]" in message
    assert not load(CLAIMCHECK_SECRET_KEY=SECRET).admin


def _name(field: str, info: FieldInfo) -> str:
    alias = info.validation_alias
    if alias is None:
        return f"CLAIMCHECK_{field.upper()}"
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias)


_SIMPLE = sorted(
    _name(field, info)
    for field, info in Settings.model_fields.items()
    if field not in {"destinations", "records", "jwt"}
)


@given(st.sampled_from(_SIMPLE), st.text() | st.from_regex(r"[0-9]*[-/.: ,a-z0-9*]{0,20}"))
@example("CLAIMCHECK_TRUSTED_PROXIES", "\u00b2")
@example("CLAIMCHECK_TRUSTED_PROXIES", "9" * 5000)
@example("CLAIMCHECK_RATE_LIMIT", "9" * 5000 + "/day")
@example("CLAIMCHECK_METRICS_NETWORKS", "[[1]]")
def test_any_value_is_taken_or_refused_by_its_name(name: str, value: str) -> None:
    refusal = name
    try:
        load_settings({name: value})
    except ConfigurationError as error:
        refusal = str(error)
    # Of two keys that go together the missing one is named.
    assert name in refusal or "AWS_" in refusal
    for raw in ("Input should", "Value error", "Field required", "unable to", "does not appear"):
        assert raw not in refusal
