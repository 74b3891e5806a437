"""Settings of destinations."""

import json
import re

import pytest

from app.core.object_url import object_url
from app.errors import ConfigurationError
from app.settings.model import load_settings, require_deployed
from tests.settings.steps import DESTINATION, SECRET, load, refusal


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("IMAGES__MAXSIZE", "5", "destinations.images.maxsize is not a setting. Did you mean max"),
        (
            "IMAGES__MAX_SIZE",
            SECRET,
            "destinations.images.max_size: write a whole number of bytes",
        ),
        (
            "IMAGES__MAX_SIZE",
            "60000000000000",
            "destinations.images.max_size: must be at most 53_687_091_200_000 bytes",
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
