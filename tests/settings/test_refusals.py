"""Wrong settings stop the start, each by its name."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from app.errors import ConfigurationError
from app.settings.model import Settings, load_settings, require_deployed
from tests.settings.steps import HEROKU, SECRET, load, refusal


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CLAIMCHECK_AUHT", "CLAIMCHECK_AUTH"),
        ("claimcheck_auht", "CLAIMCHECK_AUTH"),
        ("CLAIMCHECK_DESTINATION__IMAGES__BUCKET", ""),
        ("CLAIMCHECK_HOST__X", "CLAIMCHECK_HOST"),
        ("CLAIMCHECK_", ""),
        ("BUCKETEER_BUCKET", "BUCKETEER_BUCKET_NAME"),
        ("AWS_ACCES_KEY_ID", "AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_BUCKET_NAME", "AWS_STORAGE_BUCKET_NAME"),
        ("AWS_STORAGE_BUCKET", "AWS_STORAGE_BUCKET_NAME"),
        ("AWS_S3_REGION", "AWS_REGION"),
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


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", SECRET, "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("WEB_CONCURRENCY", SECRET, "valid integer"),
        ("WEB_CONCURRENCY", "0", "greater than or equal to 1"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "0", "greater than or equal to 1"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "10081", "less than or equal to 10080"),
        ("AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES", "1.5", "valid integer"),
        ("AWS_S3_ENDPOINT_URL", f"https://u:{SECRET}@s3.example", "without user"),
        ("AWS_S3_ENDPOINT_URL", "s3.example.com", "http(s)://host"),
        ("AWS_S3_ENDPOINT_URL", "https://", "http(s)://host"),
        ("AWS_S3_PUBLIC_ENDPOINT_URL", "https://s3 .example", "http(s)://host"),
        ("AWS_S3_PUBLIC_ENDPOINT_URL", "https://s3.example?x=1", "http(s)://host"),
        ("AWS_S3_ADDRESSING_STYLE", "vhost", "'auto', 'virtual' or 'path'"),
        ("AWS_STORAGE_BUCKET_NAME", "my bucket", "letters, digits"),
        ("BUCKETEER_BUCKET_NAME", "my/bucket", "letters, digits"),
        ("AWS_S3_REGION_NAME", "eu west", "letters, digits"),
        ("AWS_DEFAULT_REGION", "eu.west", "letters, digits"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/d", "postgres://"),
        ("DATABASE_URL", SECRET, "postgres://"),
        ("CLAIMCHECK_AUTH", SECRET, "'none'"),
        ("CLAIMCHECK_DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
        ("CLAIMCHECK_DATABASE_TRANSACTION_POOLING", "perhaps", "valid boolean"),
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
        ("aws_storage_bucket = 'b'", "Did you mean aws_storage_bucket_name?"),
        ("[destination.images]\nmax_size = 1", "destination is not a setting. Did you mean dest"),
        ("[destinations.images]\nmaxsize = 1", "destinations.images.maxsize is not a setting."),
        ("[destinations.Images]\nmax_size = 1", "destinations.Images: use lower-case letters"),
        (f"database_url = '{SECRET}'", "DATABASE_URL: must start with"),
        ("database_url = ''", "DATABASE_URL: must start with"),
        ("destinations = 3", "destinations: Input should be a valid dictionary"),
        (f"auth = '{SECRET}", "is not TOML"),
    ],
)
def test_wrong_toml_stops_the_start(toml, text: str, says: str) -> None:
    message = refusal(**toml(text))
    assert says in message
    assert "hunter2" not in message


def test_every_wrong_setting_is_named_at_once() -> None:
    message = refusal(PORT="x", CLAIMCHECK_DATABASE_POOL_SIZE="x", AWS_S3_ENDPOINT_URL="x")
    lines = message.splitlines()
    assert {line.partition(":")[0] for line in lines} == {
        "PORT",
        "CLAIMCHECK_DATABASE_POOL_SIZE",
        "AWS_S3_ENDPOINT_URL",
    }


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
    monkeypatch.setattr("app.settings.model.missing_for_panel", lambda: None)
    assert load(CLAIMCHECK_ADMIN="true", CLAIMCHECK_SECRET_KEY=SECRET).admin
    assert "CLAIMCHECK_SECRET_KEY is not set" in refusal(CLAIMCHECK_ADMIN="true")
    monkeypatch.setattr("app.settings.model.missing_for_panel", lambda: "starlette_admin")
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
