"""Settings of records and their fields."""

import pytest

from app.errors import ConfigurationError
from app.settings.model import load_settings
from tests.settings.steps import load, refusal

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
        ("PICTURE__MANY", "true", "records.product.picture.destination: is missing"),
        ("PICTURE__DESTINATON", "images", "picture.destinaton is not a setting. Did you mean dest"),
        ("PICTURE", "images", "records.product.picture: is a table of settings"),
        ("PICTURE", '{"destination": "images", "max_files": 3}', "max_files needs many = true"),
        (
            "PICTURE",
            '{"destination": "images", "many": true, "max_files": 0}',
            "max_files: must be at least 1",
        ),
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
