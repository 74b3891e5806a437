"""The URLs that a column's value may mean: the right one is always among them."""

import string
from urllib.parse import quote, quote_plus

import pytest
from django_claimcheck.object_urls import readings
from hypothesis import given
from hypothesis import strategies as st

from app.core.object_url import parse_object_url

ENDPOINT = "https://s3.eu-central-1.amazonaws.com"
BASE = f"{ENDPOINT}/my-bucket/"
KEYS = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "%+ ?#&=/._-äß水~'()*,;:@$!"), min_size=1
)


def keys(value: str, **how: object) -> list[str]:
    found = (parse_object_url(url, {"my-bucket"}) for url in readings(value, **how))  # type: ignore[arg-type]
    return [name.key for name in found if name is not None]


@given(
    KEYS.map(lambda key: f"k{key}k"),
    st.sampled_from(
        [
            *(BASE, "https://my-bucket.s3.amazonaws.com/", "http://my-bucket.s3.amazonaws.com/"),
            *(
                "//my-bucket.s3.amazonaws.com/",
                "my-bucket.s3.amazonaws.com/",
                "HTTPS://S3.amazonaws.com/my-bucket/",
            ),
        ]
    ),
    st.sampled_from([str, quote, quote_plus, lambda key: quote(key, safe="")]),
)
def test_the_key_is_found_however_it_is_written(key: str, head: str, encode: object) -> None:
    if {".", ".."} & set(key.split("/")):
        return  # those are no keys for browsers
    assert key in keys(head + encode(key))  # type: ignore[operator]


@given(KEYS.map(lambda key: f"k{key}k"))
def test_a_key_lies_under_the_base(key: str) -> None:
    if {".", ".."} & set(key.split("/")):
        return
    for base in (BASE, BASE.rstrip("/")):
        assert key in keys(key, base=base)
        assert key in keys(
            f"https://cdn.example.com/{key}", base=base, cut=["https://cdn.example.com/"]
        )


@pytest.mark.parametrize(
    "value",
    [
        *("images/a.png", "images/Stra%C3%9Fe.png", "images/a.png?X-Amz-Signature=ab%2Fc&x=1"),
        "images/a.png?AWSAccessKeyId=A&Signature=b%2Bc&Expires=1",
        "images/a.png?versionId=abc",
    ],
)
def test_most_mean_one(value: str) -> None:
    assert len(keys(BASE + value)) == (2 if "%C3" in value else 1)
    assert keys(f"  {BASE}{value}\n")[0] in {"images/a.png", "images/Straße.png"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("images/a.png", "--base"),
        ("a.png", "--base"),
        ("s3://my-bucket/a.png", "--cut"),
        ("data:image/png;base64,//", "--base"),
        (BASE + "a" * 9000, "longer"),
        ("https://s3.amazonaws.com/", "nothing follows"),
        (BASE + "\ud800", "surrogates"),
    ],
)
def test_what_is_none_is_refused(value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        readings(value)
