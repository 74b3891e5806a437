"""System checks."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.test import override_settings
from django_claimcheck.fields import ClaimcheckField

from tests.clients.django.place import Place
from tests.support.django_shop import settings


def found(deploy: bool = False) -> set[str]:
    """The ids of the errors that `manage.py check` finds."""
    try:
        call_command("check", tags=["claimcheck"], deploy=deploy, stderr=io.StringIO())
    except CommandError as error:
        return {word.strip("()") for word in str(error).split() if word.startswith("(claimcheck")}
    return set()


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"URL": None, "KEY": "key"},
        {"URL": "http://a.example", "KEY": "key", "KEYS": 1},
        {"URL": "http://a.example", "KEY": "key", "OWNER": "nowhere.owner"},
        {"URL": "a.example", "KEY": "key"},
        {"URL": "http://a.example"},
        {"URL": "http://a.example", "KEY": "key", "BROWSER_URL": "a.example"},
        {"URL": "http://a.example", "KEY": "key", "EXPIRES_IN": 10},
        {"URL": "http://a.example", "KEY": "key", "EXPIRES_IN": "3600"},
        {"URL": "http://a.example", "KEY": "key", "TIMEOUT": 0},
    ],
)
def test_settings(given: Any) -> None:
    with override_settings(CLAIMCHECK=given):
        assert found() == {"claimcheck.E002"}


def test_middleware_and_urls(shop: Place) -> None:
    assert found() == set()
    with override_settings(MIDDLEWARE=settings.MIDDLEWARE[:-1]):
        assert found() == {"claimcheck.E003"}
    with override_settings(ROOT_URLCONF="django.contrib.auth.urls"):
        assert found() == {"claimcheck.E004"}


def test_options_of_the_field() -> None:
    wrong: Any = {"dest": "", "store": "key", "on_delete": "cascade", "attach": "product"}

    class Wrong(models.Model):
        image = ClaimcheckField(**wrong)

        class Meta:
            app_label = "elsewhere"

    errors = [error for error in Wrong.check() if error.id == "claimcheck.E001"]
    assert len(errors) == 4
    assert "dest=" in errors[0].msg


def test_service(shop: Place) -> None:
    assert found(deploy=True) == set()
    away = {"URL": "http://127.0.0.1:9", "KEY": "key", "TIMEOUT": 1}
    for given, expected in (
        (away, "claimcheck.E005"),
        ({"URL": shop.url, "KEY": "claimcheck_key_wrong"}, "claimcheck.E005"),
        ({"URL": shop.url, "KEY": shop.weak_key}, "claimcheck.E006"),
    ):
        with override_settings(CLAIMCHECK=given):
            assert found() == set()
            assert found(deploy=True) == {expected}


def test_scopes_and_destinations_that_are_missing(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_claimcheck.checks import check_service

    from tests.support.django_shop.models import Product

    field = Product._meta.get_field("image")
    monkeypatch.setattr(field, "dest", "pictures")
    [error] = check_service()
    assert (error.id, error.obj) == ("claimcheck.E007", field)
    assert "'pictures'" in error.msg
    assert "images" in str(error.hint)
    with override_settings(CLAIMCHECK={"URL": shop.url, "KEY": shop.weak_key}):
        [error] = check_service()
    assert error.msg.endswith("lacks the scopes files:all, files:delete, records:write.")
