"""The end of files that are replaced, or whose objects are deleted."""

import logging

import httpx
import pytest
from claimcheck_client import Problem
from django.db import connections, transaction
from django.db.models import Model
from django.test import override_settings
from django_claimcheck.value import ClaimcheckFile

from tests.clients.django.place import PNG, Place
from tests.support.django_shop.models import Clip, Featured, Photo, Product, Still


def stored(shop: Place, destination: str = "images") -> str:
    with shop.client() as client:
        return client.upload(PNG, destination, filename="a.png")["id"]


def exists(value: str) -> bool:
    return ClaimcheckFile(Photo._meta.get_field("image"), value).exists


def photo_of(image: str) -> Photo:
    product = Product.objects.create(name="Boat")
    return Photo.objects.create(product=product, image=image)


def test_keep_is_the_default(shop: Place, asked: list[str]) -> None:
    first, second = stored(shop), stored(shop)
    asked.clear()
    product = Product.objects.create(name="Boat", image=first)
    product.image = second
    product.save()
    product.delete()
    assert asked == []
    assert exists(first)
    assert exists(second)


def test_remove(shop: Place) -> None:
    first, second, third = (stored(shop) for _ in range(3))
    link = ClaimcheckFile(Photo._meta.get_field("image"), first).url
    photo = photo_of(first)
    photo.save()
    assert exists(first)
    photo.image = second
    photo.save()
    assert (exists(first), exists(second)) == (False, True)
    assert httpx.get(link, timeout=60).status_code == 404  # the object is gone, too
    photo.image = third
    photo.save(update_fields=["product"])
    assert exists(second)
    photo.product.delete()  # and with it its photos
    assert not exists(second)
    assert exists(third)  # which was never saved


def test_release_leaves_the_object(shop: Place) -> None:
    film = stored(shop, "films")
    field = Clip._meta.get_field("film")
    link = ClaimcheckFile(field, film).url
    clip = Clip.objects.create(film=film)
    clip.film = None
    clip.save()
    assert not exists(film)
    assert httpx.get(link, timeout=60).content == PNG


def test_nothing_before_the_commit_and_nothing_after_a_rollback(
    shop: Place, asked: list[str]
) -> None:
    first, second = stored(shop), stored(shop)
    photo = photo_of(first)
    asked.clear()
    with transaction.atomic():
        photo.image = second
        photo.save()
        photo.delete()
        transaction.set_rollback(True)
    assert asked == []
    photo = Photo.objects.get()
    with transaction.atomic():
        photo.image = second
        photo.save()
        assert asked == []
    assert not exists(first)
    assert exists(second)


def test_a_file_that_another_object_has_stays(shop: Place) -> None:
    file = stored(shop)
    one, other = photo_of(file), photo_of(file)
    product = Product.objects.create(name="Ship", manual=one.image.object_url)
    for last in (one, other):
        last.delete()
        assert exists(file)
    photo = photo_of(file)
    product.delete()
    photo.delete()
    assert not exists(file)


def test_models_that_inherit(shop: Place, asked: list[str]) -> None:
    first, second = stored(shop), stored(shop)
    product = Product.objects.create(name="Boat")
    for model in (Still, Featured):
        photo = model.objects.create(product=product, image=first)
        asked.clear()
        photo.delete()
        assert asked == ["POST /v1/files/presign", f"DELETE /v1/files/{first}"]
        assert not exists(first)
        first, second = second, first


def test_what_is_deleted_is_what_the_row_has(shop: Place) -> None:
    first, second, third = (stored(shop) for _ in range(3))
    for image in (first, second):
        photo_of(image)
    photo = Photo.objects.only("product").get(image=first)
    photo.delete()  # its column was never read
    assert not exists(first)
    photo = Photo.objects.get(image=second)
    photo.image = third  # which is never saved
    photo.delete()
    assert (exists(second), exists(third)) == (False, True)


class Routed:
    """Products have a database of their own."""

    def db_for_write(self, model: type[Model], **_: object) -> str | None:
        return "other" if model is Product else None

    db_for_read = db_for_write

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: object
    ) -> bool:
        return (db == "other") == (model_name == "product")


def test_files_of_other_databases_stay(shop: Place, caplog: pytest.LogCaptureFixture) -> None:
    first, second = stored(shop, "films"), stored(shop, "films")
    with override_settings(DATABASE_ROUTERS=[Routed()]):
        with connections["other"].schema_editor() as editor:
            editor.create_model(Product)
        Product.objects.create(name="Boat", image=first)
        for film in (first, second):
            Clip.objects.create(film=film).delete()
    assert (exists(first), exists(second)) == (True, False)
    assert caplog.records == []


def test_tables_that_django_does_not_manage_count(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stored(shop)
    Product.objects.create(name="Boat", image=file)
    monkeypatch.setattr(Product._meta, "managed", False)
    photo_of(file).delete()
    assert exists(file)


def test_without_a_file_nothing_is_asked(shop: Place, asked: list[str]) -> None:
    clip = Clip.objects.create()
    clip.save()
    clip.delete()
    photo = photo_of("")
    photo.delete()
    assert asked == []


def test_attach(shop: Place) -> None:
    first, second = stored(shop, "films"), stored(shop, "films")
    clip = Clip.objects.create(film=first)

    def held() -> str | None:
        with shop.client() as client:
            film = client.records.get("clip", str(clip.pk))["fields"]["film"]
            return film and film["file_id"]

    assert held() == first
    # In a record, so it is deleted from nowhere else.
    with shop.client() as client, pytest.raises(Problem, match="Records hold"):
        client.delete(first)
    clip.film = second
    clip.save()
    assert held() == second
    assert not exists(first)
    clip.film = None
    clip.save()
    assert held() is None
    clip.film = stored(shop, "films")
    clip.save()
    Clip.objects.all().delete()
    assert not exists(str(clip.film))


def test_a_record_holds_what_the_row_has(shop: Place) -> None:
    first, second, third = (stored(shop, "films") for _ in range(3))
    clip = Clip.objects.create(film=first)
    with transaction.atomic():
        clip.film = second
        clip.save()
        # Another save, which is told of before this one is.
        Clip.objects.update(film=third)
    with shop.client() as client:
        assert client.records.get("clip", str(clip.pk))["fields"]["film"]["file_id"] == third
    assert (exists(first), exists(third)) == (False, True)


def test_a_file_that_another_record_holds_stays(
    shop: Place, caplog: pytest.LogCaptureFixture
) -> None:
    film = stored(shop, "films")
    with shop.client() as client:
        client.records.put("clip", "elsewhere", "film", film)
    Clip.objects.create(film=film).delete()
    assert exists(film)
    assert caplog.records == []


def test_failures_are_logged_and_break_nothing(
    shop: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = stored(shop), stored(shop)
    photo = photo_of(first)
    away = {"URL": "http://127.0.0.1:9", "KEY": "key", "TIMEOUT": 1}
    with override_settings(CLAIMCHECK=away), caplog.at_level(logging.ERROR, "django_claimcheck"):
        photo.image = second
        photo.save()
    photo.refresh_from_db()
    assert photo.image == second
    assert exists(first)
    [line] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert first in line
    assert second in line
    # A file that is gone already is no failure.
    with shop.client() as client:
        client.delete(second)
    caplog.clear()
    photo.delete()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
