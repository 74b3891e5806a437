"""System checks."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.test import override_settings
from django_claimcheck.checks import check_service
from django_claimcheck.fields import ClaimcheckField

from tests.clients.django.place import Place
from tests.support.django_shop import settings
from tests.support.django_shop.models import Product


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
        {"URL": 8000, "KEY": "key"},
        {"URL": "http://a.example", "KEY": "key", "KEYS": 1},
        {"URL": "http://a.example", "KEY": "key", "OWNER": "nowhere.owner"},
        {"URL": "a.example", "KEY": "key"},
        {"URL": "http://a.example"},
        {"URL": "http://a.example", "KEY": "key", "BROWSER_URL": "a.example"},
        {"URL": "http://a.example", "KEY": "key", "EXPIRES_IN": 10},
        {"URL": "http://a.example", "KEY": "key", "EXPIRES_IN": "3600"},
        {"URL": "http://a.example", "KEY": "key", "TIMEOUT": 0},
        {"URL": "http://a.example", "KEY": "key", "EXPIRES_IN": "1 day"},
        {"URL": "http://a.example", "KEY": "key", "TIMEOUT": None},
        {"URL": "http://a.example", "KEY": "key", "MAY_UPLOAD": True},
        {"URL": "http://a.example", "KEY": None},
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
    wrong |= {"accept": ["image/png"], "max_size": "5 MB"}

    class Wrong(models.Model):
        image = ClaimcheckField(**wrong)

        class Meta:
            app_label = "elsewhere"

    errors = [error for error in Wrong.check() if error.id == "claimcheck.E001"]
    assert len(errors) == 6
    assert "dest=" in errors[0].msg


def test_the_app_is_not_installed() -> None:
    """Then no check of its own runs, and the form would have no template: the field tells."""
    field = Product._meta.get_field("image")
    without = [name for name in settings.INSTALLED_APPS if name != "django_claimcheck"]
    with override_settings(INSTALLED_APPS=without):
        [error] = field.check()
    assert 'add "django_claimcheck" to INSTALLED_APPS' in error.msg


def test_wrong_options_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is not asked about a record that cannot be."""
    monkeypatch.setattr(Product._meta.get_field("image"), "attach", "product")
    assert check_service() == []


def test_hints_of_the_service(shop: Place) -> None:
    for given, hint in (
        ({"URL": "http://127.0.0.1:9", "KEY": "key"}, "URL"),
        ({"URL": shop.url, "KEY": "claimcheck_key_wrong"}, "KEY"),
    ):
        with override_settings(CLAIMCHECK=given):
            [error] = check_service()
        assert f"CLAIMCHECK's {hint}" in str(error.hint)


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
    field = Product._meta.get_field("image")
    monkeypatch.setattr(field, "dest", "pictures")
    [error] = check_service()
    assert (error.id, error.obj) == ("claimcheck.E007", field)
    assert "'pictures'" in error.msg
    assert "images" in str(error.hint)
    with override_settings(CLAIMCHECK={"URL": shop.url, "KEY": shop.weak_key}):
        [error] = check_service()
    assert error.msg.endswith("lacks the scopes files:all, files:delete, records:write.")
