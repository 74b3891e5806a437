import re
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.destination import MAX_SINGLE_UPLOAD, Destination
from app.core.object_url import object_url
from app.core.parts import MAX_OBJECT_SIZE


def test_an_empty_destination_takes_anything() -> None:
    destination = Destination(name="files")
    assert destination.prefix == "files/"
    assert destination.method == "post"
    assert (destination.min_size, destination.max_size) == (0, 5 * 1024**3)
    assert destination.takes_type("application/x-anything")
    assert destination.takes_extension("exe")
    assert destination.takes_extension("")
    assert destination.object_headers("put") == destination.object_headers("post") == {}


@pytest.mark.parametrize(
    ("allowed", "content_type", "taken"),
    [
        ("image/*", "image/png", True),
        ("image/*", "IMAGE/PNG; charset=x", True),
        ("image/*", "video/mp4", False),
        ("image/*", "imagery/png", False),
        ("Image/PNG", "image/png", True),
        ("image/png", "image/png+xml", False),
        ("image/png, image/webp", "image/webp", True),
        ("image/png, image/webp", "image/gif", False),
        ("*/*", "text/html", True),
        ("text/html", "text/html;charset=utf-8", True),
    ],
)
def test_allowed_types(allowed: str, content_type: str, taken: bool) -> None:
    destination = Destination.model_validate({"content_types": allowed})
    assert destination.takes_type(content_type) is taken


def test_allowed_extensions_and_sizes() -> None:
    destination = Destination.model_validate(
        {"name": "images", "extensions": ".PNG, jpeg", "min_size": 1, "max_size": 10}
    )
    assert [destination.takes_extension(e) for e in ("png", "jpeg", "gif", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert [destination.size_objection(n) for n in (0, 1, 10, 11)] == [
        "0 bytes is less than the 1 byte that a file in images needs",
        None,
        None,
        "11 bytes is more than the 10 bytes that images takes",
    ]


@pytest.mark.parametrize("value", ["image/png,image/webp", ["image/png", "image/webp"]])
def test_lists_may_be_words(value: object) -> None:
    destination = Destination.model_validate({"content_types": value})
    assert destination.content_types == ("image/png", "image/webp")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("max_siz", 1, "Extra inputs are not permitted"),
        ("method", "patch", "'post', 'put' or 'multipart'"),
        ("content_types", "image", "not a content type"),
        ("content_types", "*", "not a content type"),
        ("content_types", "image/p*", "not a content type"),
        ("content_types", "*/png", "not a content type"),
        ("content_types", ["image/png;q=1"], "not a content type"),
        ("extensions", "tar.gz", "not an extension"),
        ("extensions", "*.png", "not an extension"),
        ("extensions", ["a" * 17], "not an extension"),
        ("key_prefix", "/a", "not usable in a key"),
        ("key_template", "{slug}", "needs {timestamp} or {uuid}"),
        ("min_size", -1, "greater than or equal to 0"),
        ("max_size", MAX_OBJECT_SIZE + 1, "less than or equal to"),
        ("multipart_threshold", MAX_SINGLE_UPLOAD + 1, "less than or equal to"),
        ("part_size", 5 * 1024**2 - 1, "greater than or equal to"),
        ("part_size", 5 * 1024**3 + 1, "less than or equal to"),
        ("multipart_expires_in", 0, "greater than or equal to 1"),
        ("upload_expires_in", 0, "greater than or equal to 1"),
        ("upload_expires_in", 604_801, "less than or equal to 604800"),
        ("link_expires_in", 0.5, "valid integer"),
        ("link_expires_in", 604_801, "less than or equal to 604800"),
        ("acl", "public-read", "bucket-owner-full-control"),
        ("cache_control", "no-store\r\nx: y", "printable ASCII"),
        ("cache_control", "${x}", "without '$'"),
        ("content_disposition", "attachment; filename=é", "printable ASCII"),
        ("server_side_encryption", "AES512", "'AES256'"),
        ("addressing_style", "vhost", "'virtual'"),
    ],
)
def test_wrong_values_are_refused_by_name(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)) as caught:
        Destination.model_validate({field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"min_size": 2, "max_size": 1}, "min_size 2 is above max_size 1"),
        ({"kms_key_id": "k"}, "kms_key_id needs"),
        ({"kms_key_id": "k", "server_side_encryption": "AES256"}, "kms_key_id needs"),
        ({"allow_client_keys": True, "method": "put"}, "allow_client_keys needs method = post"),
    ],
)
def test_values_that_contradict_each_other(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Destination.model_validate(fields)


def test_the_size_chooses_between_one_request_and_parts() -> None:
    plain = Destination()
    assert [plain.method_for(size) for size in (None, 0, 100 * 1024**2)] == ["post"] * 3
    assert plain.method_for(100 * 1024**2 + 1) == "multipart"
    assert Destination(method="put", multipart_threshold=0).method_for(1) == "multipart"
    assert Destination(method="multipart").method_for(0) == "multipart"


def test_object_headers() -> None:
    destination = Destination(
        acl="private",
        cache_control="max-age=60",
        content_disposition="attachment",
        server_side_encryption="aws:kms",
        kms_key_id="alias/files",
    )
    both = {
        "cache-control": "max-age=60",
        "content-disposition": "attachment",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "alias/files",
    }
    assert destination.object_headers("put") == {"x-amz-acl": "private", **both}
    assert destination.object_headers("post") == {"acl": "private", **both}


def test_the_prefix_may_be_empty_or_the_name() -> None:
    assert Destination(name="images").prefix == "images/"
    assert Destination(name="images", key_prefix="").prefix == ""
    assert Destination(name="images", key_prefix="i-").prefix == "i-"


@pytest.mark.parametrize(
    ("endpoint", "style", "origin", "base_path", "stored"),
    [
        (None, "auto", "https://bkt.s3.eu-west-1.amazonaws.com", "", None),
        (None, "path", "https://s3.eu-west-1.amazonaws.com", "/bkt", None),
        ("https://s3.example.com", "auto", "https://s3.example.com", "/bkt", None),
        (
            "https://s3.example.com",
            "virtual",
            "https://bkt.s3.example.com",
            "",
            "https://s3.example.com",
        ),
        ("http://127.0.0.1:9000", "virtual", "http://127.0.0.1:9000", "/bkt", None),
        ("https://h.example/s3", "auto", "https://h.example", "/s3/bkt", "https://h.example/s3"),
    ],
)
def test_the_signed_address_and_the_stored_url(
    endpoint: str | None, style: str, origin: str, base_path: str, stored: str | None
) -> None:
    destination = Destination.model_validate(
        {
            "bucket": "bkt",
            "region": "eu-west-1",
            "endpoint_url": "http://internal:1",
            "public_endpoint_url": endpoint,
            "addressing_style": style,
        }
    )
    assert (destination.address.origin, destination.address.base_path) == (origin, base_path)
    expected = stored or ("https://s3.eu-west-1.amazonaws.com" if endpoint is None else endpoint)
    assert destination.stored_endpoint == expected
    assert object_url(destination.stored_endpoint, "bkt", "k").endswith("/bkt/k")
