"""AWS's published POST policy, what is refused, and what the signer promises of forms."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.object_url import UnsignableValue, bucket_address
from app.core.sigv4 import Credentials, policy_signature
from tests.core.signing import EXAMPLE, UNSENDABLE, policy_of, post


# AWS, API/sigv4-post-example; the page's policy is encoded with CRLF line ends.
def test_published_post_policy() -> None:
    redirect = "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"
    lines = [
        '{ "expiration": "2015-12-30T12:00:00.000Z",',
        '  "conditions": [',
        '    {"bucket": "sigv4examplebucket"},',
        '    ["starts-with", "$key", "user/user1/"],',
        '    {"acl": "public-read"},',
        f'    {{"success_action_redirect": "{redirect}"}},',
        '    ["starts-with", "$Content-Type", "image/"],',
        '    {"x-amz-meta-uuid": "14365123651274"},',
        '    {"x-amz-server-side-encryption": "AES256"},',
        '    ["starts-with", "$x-amz-meta-tag", ""],',
        "",
        '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
        '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
        '    {"x-amz-date": "20151229T000000Z" }',
        "  ]",
        "}",
    ]
    policy = b64encode("\r\n".join(lines).encode()).decode()
    assert (
        policy_signature(
            policy,
            credentials=EXAMPLE,
            region="us-east-1",
            now=datetime(2015, 12, 29, tzinfo=UTC),
        )
        == "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
    )


def test_post_pins_every_field() -> None:
    url, form = post(
        "images/a b é.png",
        credentials=Credentials("key", "secret", "token"),
        fields={"Content-Type": 'image/"png"\\', "x-amz-meta-id": "1", "Cache-Control": ""},
        size_range=(1, 20),
    )
    assert url == "https://store.example:9000/photos"
    assert list(form) == [
        "key",
        "bucket",
        "Content-Type",
        "x-amz-meta-id",
        "Cache-Control",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-security-token",
        "policy",
        "x-amz-signature",
    ]
    policy = policy_of(form)
    assert policy["expiration"] == "2024-07-01T12:28:14Z"
    pinned = {k: v for k, v in form.items() if k not in ("policy", "x-amz-signature")}
    assert policy["conditions"] == [
        *[{name: value} for name, value in pinned.items()],
        ["content-length-range", 1, 20],
    ]
    assert form["x-amz-credential"] == "key/20240701/eu-west-1/s3/aws4_request"
    assert form["x-amz-date"] == "20240701T121314Z"
    # Stores disagree on how to read a policy that is not ASCII; escaped, all read the same.
    assert b64decode(form["policy"]).isascii()


def test_post_goes_to_the_bucket() -> None:
    assert post(address=bucket_address(None, "photos", "x"))[0] == (
        "https://photos.s3.x.amazonaws.com/"
    )


@pytest.mark.parametrize(
    "key", ["a${filename}", "$", "a$$b.png", "${filename}", "$key"]
)  # fmt: skip
def test_variables_are_refused_in_a_post(key: str) -> None:
    with pytest.raises(UnsignableValue, match=r"^form field key: holds '\$'"):
        post(key)
    with pytest.raises(UnsignableValue, match=r"^form field x-amz-meta-a: holds '\$'"):
        post(fields={"x-amz-meta-a": key})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        *[({"x-amz-meta-a": value}, "form field x-amz-meta-a: holds U") for value in UNSENDABLE],
        ({"Content-Type": "a", "content-type": "a"}, "form fields: two names"),
        *[
            ({name: "a"}, f"form field {name.lower()}: is filled in")
            for name in ("key", "Key", "bucket", "file", "policy", "x-amz-date", "X-Amz-Signature")
        ],
        *[
            ({name: "a"}, "form field name: must be")
            for name in ("", "a b", 'a"', "$key", "a\n", "é")
        ],
    ],
)
def test_form_field_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(UnsignableValue, match=f"^{message}"):
        post(fields=fields)


@pytest.mark.parametrize("size_range", [(-1, 5), (6, 5), (1.0, 5), (0, True), ("1", "5")])
def test_size_range_refused(size_range: Any) -> None:
    with pytest.raises(UnsignableValue, match=r"^size range: "):
        post(size_range=size_range)
