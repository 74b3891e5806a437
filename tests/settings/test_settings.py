import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from app.core.object_url import object_url
from app.errors import ConfigurationError
from app.settings import Settings, load_settings, require_deployed

SECRET = "wJalrXUtnFEMI-hunter2-and-longer-than-that"
DESTINATION = "CLAIMCHECK_DESTINATIONS__"
HEROKU = "postgres://u:hunter2@ec2-1.compute.amazonaws.com:5432/d3?sslmode=require"


def load(**environ: str) -> Settings:
    return load_settings(environ)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.fixture
def toml(tmp_path: Path):
    """Writes the text to a TOML file and gives the environment that names it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "claimcheck.toml"
        path.write_text(text, encoding="utf-8")
        return {"CLAIMCHECK_CONFIG": str(path)}

    return write


def test_the_defaults() -> None:
    settings = load()
    assert settings.auth == ()
    assert (settings.port, settings.expiry) == (8000, 3600)
    assert settings.aws_s3_region_name == "us-east-1"
    assert [*settings.destinations] == ["images", "videos", "files"]
    assert settings.destinations["images"].content_types == ("image/*",)
    assert settings.destinations["files"].content_types == ()


def test_the_names_of_the_django_way() -> None:
    settings = load(
        AWS_ACCESS_KEY_ID="AKIA1",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_SESSION_TOKEN="token",
        AWS_STORAGE_BUCKET_NAME="my-bucket",
        AWS_S3_REGION_NAME="eu-west-1",
        AWS_S3_ENDPOINT_URL="https://s3.internal:9000/",
        AWS_S3_PUBLIC_ENDPOINT_URL="https://files.example.com",
        AWS_S3_ADDRESSING_STYLE="virtual",
        AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES="15",
    )
    assert settings.aws_access_key_id == "AKIA1"
    assert settings.aws_secret_access_key
    assert settings.aws_secret_access_key.get_secret_value() == SECRET
    for name, destination in settings.destinations.items():
        assert destination.name == name
        assert destination.bucket == "my-bucket"
        assert destination.region == "eu-west-1"
        assert destination.endpoint_url == "https://s3.internal:9000"
        assert destination.upload_expires_in == destination.link_expires_in == 15 * 60
        # The host that the browser sees is the one that is signed.
        assert destination.address.origin == "https://my-bucket.files.example.com"


def test_herokus_names() -> None:
    settings = load(
        PORT="34567",
        DATABASE_URL=HEROKU,
        BUCKETEER_AWS_ACCESS_KEY_ID="AKIA1",
        BUCKETEER_AWS_SECRET_ACCESS_KEY=SECRET,
        BUCKETEER_AWS_REGION="us-west-2",
        BUCKETEER_BUCKET_NAME="bucketeer-1",
    )
    assert settings.port == 34567
    assert settings.database_url
    assert settings.database_url.get_secret_value() == HEROKU
    assert settings.aws_access_key_id == "AKIA1"
    assert settings.destinations["files"].bucket == "bucketeer-1"
    assert settings.destinations["files"].region == "us-west-2"


def test_the_django_name_wins_over_herokus() -> None:
    settings = load(AWS_STORAGE_BUCKET_NAME="mine", BUCKETEER_BUCKET_NAME="theirs")
    assert settings.aws_storage_bucket_name == "mine"


def test_a_region_that_aws_tools_know_is_enough() -> None:
    assert load(AWS_DEFAULT_REGION="eu-north-1").aws_s3_region_name == "eu-north-1"
    both = load(AWS_S3_REGION_NAME="eu-west-1", AWS_REGION="eu-north-1")
    assert both.aws_s3_region_name == "eu-west-1"


def test_empty_values_are_no_values() -> None:
    settings = load(PORT="", AWS_ACCESS_KEY_ID="", AWS_STORAGE_BUCKET_NAME="", CLAIMCHECK_AUTH="")
    assert settings.model_dump() == load().model_dump()


@pytest.mark.parametrize("value", ["image/png, image/webp", '["image/png", "image/webp"]'])
def test_lists_in_the_environment(value: str) -> None:
    settings = load(**{f"{DESTINATION}PHOTOS__CONTENT_TYPES": value})
    assert settings.destinations["photos"].content_types == ("image/png", "image/webp")
    assert [*settings.destinations] == ["photos"]


def test_every_kind_of_field_in_the_environment() -> None:
    fields = {
        "BUCKET": "12345",  # looks like a number, is a name
        "CACHE_CONTROL": "max-age=60",
        "ALLOW_CLIENT_KEYS": "true",
        "MAX_SIZE": "100",
        "KEY_PREFIX": "2026",
        "EXTENSIONS": "png,.jpg",
        "LINK_EXPIRES_IN": "60",
    }
    environ = {f"{DESTINATION}PHOTOS__{name}": value for name, value in fields.items()}
    photos = load_settings(environ).destinations["photos"]
    assert (photos.bucket, photos.key_prefix, photos.max_size) == ("12345", "2026", 100)
    assert photos.allow_client_keys
    assert photos.extensions == ("png", "jpg")
    assert (photos.link_expires_in, photos.upload_expires_in) == (60, 3600)


def test_destinations_as_json() -> None:
    settings = load(
        CLAIMCHECK_DESTINATIONS='{"photos": {"max_size": 4}, "scans": {}}',
        CLAIMCHECK_DESTINATIONS__PHOTOS__METHOD="put",
    )
    assert [*settings.destinations] == ["photos", "scans"]
    assert settings.destinations["photos"].max_size == 4
    assert settings.destinations["photos"].method == "put"


def test_toml_and_environment_together(toml) -> None:
    environ = toml(
        """
        aws_storage_bucket_name = "from-toml"
        aws_s3_region_name = "eu-west-1"
        auth = "none"
        cors_origins = ["https://a.example"]
        database_pool_size = 7

        [destinations.images]
        content_types = ["image/png"]
        max_size = 10

        [destinations.docs]
        bucket = "docs-bucket"
        """
    )
    settings = load_settings(
        environ
        | {
            "BUCKETEER_BUCKET_NAME": "from-environment",
            "CLAIMCHECK_DATABASE_POOL_SIZE": "9",
            f"{DESTINATION}IMAGES__MAX_SIZE": "20",
            f"{DESTINATION}VIDEOS__METHOD": "put",
        }
    )
    assert settings.aws_storage_bucket_name == "from-environment"
    assert settings.aws_s3_region_name == "eu-west-1"
    assert (settings.auth, settings.database_pool_size) == (("none",), 9)
    assert settings.cors_origins == ("https://a.example",)
    assert {*settings.destinations} == {"images", "docs", "videos"}
    images = settings.destinations["images"]
    assert (images.content_types, images.max_size) == (("image/png",), 20)
    assert images.bucket == "from-environment"
    assert settings.destinations["docs"].bucket == "docs-bucket"


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
    "name",
    [
        *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL_STS"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_PAGER"),
        *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CA_BUNDLE"),
        *("AWS_SESSION_EXPIRATION", "AWS_EXECUTION_ENV", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"),
        *("AWS_STS_REGIONAL_ENDPOINTS", "AWS_EC2_METADATA_DISABLED", "AWS_DEFAULT_OUTPUT"),
        *("DATABASE_URL_OLD", "HOST", "AUTH", "PATH", "HOME", "DYNO"),
    ],
)
def test_other_programs_settings_are_none_of_ours(name: str) -> None:
    assert load(**{name: "x"}).model_dump() == load().model_dump()


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
    ("name", "value", "says"),
    [
        ("IMAGES__MAXSIZE", "5", "destinations.images.maxsize is not a setting. Did you mean max"),
        (
            "IMAGES__MAX_SIZE",
            SECRET,
            "destinations.images.max_size: Input should be a valid integer",
        ),
        (
            "IMAGES__MAX_SIZE",
            "60000000000000",
            "destinations.images.max_size: Input should be less",
        ),
        ("IMAGES__CONTENT_TYPES", "png", "destinations.images.content_types: 'png' is not a"),
        ("IMAGES__KEY_PREFIX", "../", "destinations.images.key_prefix: '../' is not usable"),
        ("IMAGES__KEY_TEMPLATE", "{slug}", "destinations.images.key_template: key_template needs"),
        ("IMAGES__ENDPOINT_URL", "s3.example", "destinations.images: endpoint: must be http(s)"),
        ("IMAGES__PUBLIC_ENDPOINT_URL", "x", "destinations.images: endpoint: must be http(s)"),
        ("IMAGES__BUCKET", "a b", "destinations.images: bucket: must be"),
        ("IMAGES__REGION", "a b", "destinations.images: region: must be"),
        ("IMAGES__MIN_SIZE", "6000000000", "destinations.images: min_size"),
        ("IMAGES", "png", "destinations.images: "),
        ("-PICS__BUCKET", "bkt", "destinations.-pics: use lower-case letters"),
        ("__BUCKET", "bkt", "destinations.: use lower-case letters"),
    ],
)
def test_wrong_destinations_stop_the_start(name: str, value: str, says: str) -> None:
    message = refusal(**{DESTINATION + name: value})
    assert message.startswith(says)
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


@pytest.mark.parametrize(
    ("docs", "images"), [("a/", "a/b/"), ("a/", "a/"), ("", "z/"), ("a", "ab/"), ("images/", None)]
)
def test_overlapping_prefixes_of_one_bucket(docs: str, images: str | None) -> None:
    destinations = {"docs": {"key_prefix": docs}, "images": {"key_prefix": images}}
    environ = {"CLAIMCHECK_DESTINATIONS": json.dumps(destinations)}
    message = refusal(**environ)
    assert "destinations.docs" in message
    assert "destinations.images" in message
    # In buckets of their own the same prefixes are fine.
    load_settings(environ | {f"{DESTINATION}DOCS__BUCKET": "other"})


def test_prefixes_that_only_look_alike() -> None:
    load(CLAIMCHECK_DESTINATIONS='{"a": {"key_prefix": "x/a/"}, "b": {"key_prefix": "x/ab/"}}')


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


def test_a_deployment_names_the_destination_without_a_bucket() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "postgresql://h/d",
            f"{DESTINATION}IMAGES__BUCKET": "bkt",
            f"{DESTINATION}DOCS__MAX_SIZE": "5",
        }
    )
    with pytest.raises(ConfigurationError, match=re.escape(f"{DESTINATION}DOCS__BUCKET")):
        require_deployed(settings)


def test_a_renamed_or_retired_destination_keeps_its_files() -> None:
    settings = load_settings(
        {
            "AWS_STORAGE_BUCKET_NAME": "main",
            "AWS_S3_ENDPOINT_URL": "https://s3.example.com",
            f"{DESTINATION}PHOTOS__METHOD": "put",
            f"{DESTINATION}DOCS__BUCKET": "docs",
        }
    )
    of = settings.destination_of
    assert of("photos", "main").name == "photos"
    assert of("pictures", "main").name == "photos"  # renamed
    assert of("docs", "main").name == "photos"  # moved to another bucket
    assert of("docs", "docs").name == "docs"
    retired = of("scans", "old-bucket")
    assert (retired.bucket, retired.endpoint_url) == ("old-bucket", "https://s3.example.com")
    assert retired.address.base_path == "/old-bucket"
    assert [d.bucket for d in settings.every_destination()] == ["main", "docs", "main"]


def test_whose_endpoint_is_signed() -> None:
    environ = {
        "AWS_STORAGE_BUCKET_NAME": "main",
        "AWS_S3_ENDPOINT_URL": "http://minio:9000",
        "AWS_S3_PUBLIC_ENDPOINT_URL": "https://files.example.com",
        f"{DESTINATION}A__METHOD": "put",
        f"{DESTINATION}B__ENDPOINT_URL": "https://other.example.com/",
        f"{DESTINATION}C__PUBLIC_ENDPOINT_URL": "https://c.example.com",
    }
    signed = {n: d.address.origin for n, d in load_settings(environ).destinations.items()}
    assert signed == {
        "a": "https://files.example.com",
        # One with an endpoint of its own has nothing to do with the global public one.
        "b": "https://other.example.com",
        "c": "https://c.example.com",
    }
    del environ["AWS_S3_PUBLIC_ENDPOINT_URL"]
    a = load_settings(environ).destinations["a"]
    assert object_url(a.stored_endpoint, a.bucket, "k") == "http://minio:9000/main/k"


def test_one_setting_of_a_default_destination_leaves_the_rest_as_it_is() -> None:
    tuned = load(CLAIMCHECK_DESTINATIONS__IMAGES__MAX_SIZE="5000000").destinations
    assert tuned.keys() == load().destinations.keys()
    assert tuned["images"].max_size == 5_000_000
    assert tuned["images"].content_types == ("image/*",)


def test_a_destination_of_ones_own_replaces_the_default_ones() -> None:
    declared = load(
        CLAIMCHECK_DESTINATIONS__AVATARS__MAX_SIZE="5",
        CLAIMCHECK_DESTINATIONS__IMAGES__MIN_SIZE="1",
    ).destinations
    assert set(declared) == {"avatars", "images"}
    assert declared["images"].content_types == ()


def test_a_destination_of_the_toml_file_replaces_the_default_ones(toml) -> None:
    environ = toml("[destinations.images]\nmax_size = 7\n")
    assert set(load_settings(environ).destinations) == {"images"}
    assert "name" in refusal(**toml('[destinations.images]\nname = "other"\n'))
    assert "destinations" in refusal(**toml("[destinations]\n"))


def test_the_endpoint_has_the_aws_tools_names_too() -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        assert load(**{name: "http://127.0.0.1:9"}).aws_s3_endpoint_url == "http://127.0.0.1:9"
    both = load(AWS_ENDPOINT_URL="http://a.example", AWS_S3_ENDPOINT_URL="http://b.example")
    assert both.aws_s3_endpoint_url == "http://b.example"


@pytest.mark.parametrize("ending", ["\n", " ", "\r", "é"])
def test_keys_with_something_left_over_are_refused(ending: str) -> None:
    says = refusal(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY=SECRET + ending)
    assert says.startswith("AWS_SECRET_ACCESS_KEY has ")
    assert SECRET not in says


def test_origins_are_compared_in_lower_case() -> None:
    origins = load(CLAIMCHECK_CORS_ORIGINS="https://WWW.Example.com").cors_origins
    assert origins == ("https://www.example.com",)


def test_a_port_is_a_port() -> None:
    assert refusal(PORT="0").startswith("PORT")


@pytest.mark.parametrize("misspelt", ["IMAGE", "FILE", "VIDEO"])
def test_a_misspelt_destination_is_not_a_new_one(misspelt: str) -> None:
    says = refusal(**{f"{DESTINATION}{misspelt}__MAX_SIZE": "10"})
    assert f"Did you mean {misspelt.lower()}s?" in says


def test_a_destination_that_looks_like_one_of_the_toml_file_is_misspelt(toml) -> None:
    environ = toml("[destinations.avatars]\nmax_size = 7\n")
    says = refusal(**environ, CLAIMCHECK_DESTINATIONS__AVATAR__MAX_SIZE="10")
    assert "Did you mean avatars?" in says
    assert set(load_settings(environ | {f"{DESTINATION}CLIPS__MAX_SIZE": "1"}).destinations) == {
        *("avatars", "clips")
    }


@pytest.mark.parametrize("value", ["null", "true", "5", "*"])
def test_what_is_no_list_of_origins_is_refused(value: str) -> None:
    assert "is not an exact origin" in refusal(CLAIMCHECK_CORS_ORIGINS=value)


RECORDS = "CLAIMCHECK_RECORDS__PRODUCT__"


def test_records_and_their_fields(toml) -> None:
    assert load().records == {}
    settings = load_settings(
        toml(
            "[records.product.picture]\ndestination = 'images'\n"
            "[records.product.gallery]\ndestination = 'images'\nmany = true\n"
            "[records.employee.photo]\ndestination = 'files'"
        )
        | {f"{RECORDS}GALLERY__MAX_FILES": "3", f"{RECORDS}FILM__DESTINATION": "videos"}
    )
    assert [*settings.records] == ["product", "employee"]
    product = settings.records["product"]
    assert {name: (f.destination, f.capacity) for name, f in product.items()} == {
        "picture": ("images", 1),
        "gallery": ("images", 3),
        "film": ("videos", 1),
    }


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PICTURE__DESTINATION", "pictures", "records.product.picture: there is no destination"),
        ("PICTURE__MANY", "true", "records.product.picture.destination: Field required"),
        ("PICTURE__DESTINATON", "images", "picture.destinaton is not a setting. Did you mean dest"),
        ("PICTURE", "images", "records.product.picture: Input should be"),
        ("PICTURE", '{"destination": "images", "max_files": 3}', "max_files needs many = true"),
        ("PICTURE", '{"destination": "images", "many": true, "max_files": 0}', "max_files: Input"),
        ("A.B", '{"destination": "images"}', "records.product.a.b: use lower-case letters"),
        ("", '{"destination": "images"}', "records.product.: use lower-case letters"),
    ],
)
def test_wrong_records_stop_the_start(name: str, value: str, says: str) -> None:
    assert says in refusal(**{f"{RECORDS}{name}": value})


def test_a_wrong_name_of_a_type_of_records(toml) -> None:
    text = "[records.Product.picture]\ndestination = 'images'"
    with pytest.raises(ConfigurationError, match=r"records\.Product: use lower-case"):
        load_settings(toml(text))
    with pytest.raises(ConfigurationError, match="Did you mean CLAIMCHECK_RECORDS"):
        load(CLAIMCHECK_RECORD="x")


def test_the_panel_needs_a_secret_and_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.settings.missing_for_panel", lambda: None)
    assert load(CLAIMCHECK_ADMIN="true", CLAIMCHECK_SECRET_KEY=SECRET).admin
    assert "CLAIMCHECK_SECRET_KEY is not set" in refusal(CLAIMCHECK_ADMIN="true")
    monkeypatch.setattr("app.settings.missing_for_panel", lambda: "starlette_admin")
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
