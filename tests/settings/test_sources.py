"""Settings come from the environment and a TOML file, under all names that they may have."""

import pytest

from app.settings.model import load_settings
from tests.settings.steps import DESTINATION, HEROKU, SECRET, load


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


def test_the_endpoint_has_the_aws_tools_names_too() -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        assert load(**{name: "http://127.0.0.1:9"}).aws_s3_endpoint_url == "http://127.0.0.1:9"
    both = load(AWS_ENDPOINT_URL="http://a.example", AWS_S3_ENDPOINT_URL="http://b.example")
    assert both.aws_s3_endpoint_url == "http://b.example"


def test_origins_are_compared_in_lower_case() -> None:
    origins = load(CLAIMCHECK_CORS_ORIGINS="https://WWW.Example.com").cors_origins
    assert origins == ("https://www.example.com",)
