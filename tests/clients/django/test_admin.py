"""The view that gives upload sessions, and Django's admin."""

import json
import re
from typing import Any

import pytest
from claimcheck_client import Client
from django.contrib import admin
from django.http import HttpRequest
from django.test import Client as Browser
from django.test import override_settings

from tests.clients.django.place import PNG, Place, person, session_of, signed_in, uploaded
from tests.support.django_shop.admin import PhotoInline
from tests.support.django_shop.models import Photo, Product

IMAGE = "/claimcheck/session/shop/product/image/"


def status(browser: Browser, path: str = IMAGE) -> int:
    return browser.post(path).status_code


class TestSession:
    """POST claimcheck/session/..."""

    def test_it_is_for_the_user_and_the_destination(self, shop: Place) -> None:
        user = person("ann", "change_product")
        session = session_of(signed_in(user), "product/image")
        assert session.keys() == {"token", "endpoint", "destination", "resumable"}
        assert (session["endpoint"], session["destination"]) == (shop.url, "images")
        with Client(session["endpoint"], session["token"], cache=None) as client:
            file = client.upload(PNG, "images", filename="a.png")
            with pytest.raises(Exception, match="destination"):
                client.upload(b"a", "manuals", filename="a.txt")
        image = Product(image=file["id"]).image
        assert image.file["owner"] == f"django:{user.pk}"

    def test_who_may_not(self, shop: Place, asked: list[str]) -> None:
        assert status(Browser()) == 401
        assert status(signed_in(person("ann"))) == 403
        assert status(signed_in(person("bob", "view_product", "delete_product"))) == 403
        assert status(signed_in(person("eve", "add_report", "change_report"))) == 403
        gone = person("joe", "add_product")
        browser = signed_in(gone)
        gone.is_active = False
        gone.save()
        assert status(browser) == 401
        assert asked == []
        assert status(signed_in(person("kim", "add_product"))) == 200
        assert status(signed_in(person("lee", is_superuser=True))) == 200

    def test_what_is_no_such_field(self, shop: Place, asked: list[str]) -> None:
        browser = signed_in(person("root", is_superuser=True))
        for where in (
            "shop/product/name",
            "shop/product/photos",
            "shop/product/nothing",
            "shop/nothing/image",
            "nothing/product/image",
            "auth/user/password",
        ):
            answer = browser.post(f"/claimcheck/session/{where}/")
            assert (answer.status_code, json.loads(answer.content).keys()) == (
                404,
                {"title", "detail"},
            )
        assert asked == []

    def test_forged_requests_are_refused(self, shop: Place, asked: list[str]) -> None:
        browser = Browser(enforce_csrf_checks=True)
        browser.force_login(person("ann", "add_product"))
        assert browser.get(IMAGE).status_code == 405
        assert status(browser) == 403
        assert asked == []
        page = browser.get("/form/").content.decode()
        [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert browser.post(IMAGE, headers={"X-CSRFToken": token}).status_code == 200
        assert browser.post(IMAGE, headers={"X-CSRFToken": token[::-1]}).status_code == 403

    def test_it_lasts_over_a_reload(self, shop: Place, asked: list[str]) -> None:
        ann = signed_in(person("ann", "add_product"))
        first = session_of(ann, "product/image")
        answer = ann.post(IMAGE)
        assert json.loads(answer.content) == first
        assert "no-store" in answer.headers["cache-control"]
        assert session_of(ann, "product/manual")["token"] != first["token"]
        assert asked.count("POST /v1/upload-sessions") == 2
        # Another user at the same browser gets another.
        ann.force_login(person("bob", "add_product"))
        assert session_of(ann, "product/image")["token"] != first["token"]

    def test_another_one_when_it_is_over(self, shop: Place) -> None:
        ann = signed_in(person("ann", "add_product"))
        first = session_of(ann, "product/image")
        held = ann.session["claimcheck shop.Product.image"]
        with shop.client() as client:
            client.sessions.end(held["id"])
        second = session_of(ann, "product/image")
        assert second["token"] != first["token"]
        # It ends before a large upload is through.
        with override_settings(
            CLAIMCHECK={"URL": shop.url, "KEY": shop.key, "EXPIRES_IN": 604_800}
        ):
            assert session_of(ann, "product/image")["token"] != second["token"]

    def test_hooks(self, shop: Place) -> None:
        user = person("ann")
        named = f"{__name__}.members"
        with override_settings(
            CLAIMCHECK={
                "URL": shop.url, "KEY": shop.key, "MAY_UPLOAD": named,
                "OWNER": lambda user: f"shop/{user.username}",
            }
        ):  # fmt: skip
            ann = signed_in(user)
            assert status(ann, "/claimcheck/session/shop/product/manual/") == 403
            file = uploaded(ann, "product/image")
        assert Product(image=file["id"]).image.file["owner"] == "shop/ann"

    def test_failures_of_the_service_are_told(self, shop: Place) -> None:
        ann = signed_in(person("ann", "add_product"))
        for given, expected in (
            ({"URL": "http://127.0.0.1:9", "KEY": "x", "TIMEOUT": 1}, (503, "does not answer")),
            ({"URL": shop.url, "KEY": "claimcheck_key_wrong"}, (502, "may not upload")),
        ):
            with override_settings(CLAIMCHECK=given):
                answer = ann.post(IMAGE)
            said = json.loads(answer.content)
            assert answer.status_code == expected[0]
            assert expected[1] in said["title"]
            assert said["detail"]


def members(request: HttpRequest, field: Any) -> bool:
    return field.name == "image"


class TestAdmin:
    """Django's admin, inlines too, with its own permissions"""

    def test_add_change_and_show(self, shop: Place) -> None:
        ann = staff("ann", "add_product", "change_product", "add_photo", "change_photo")
        page = ann.get("/admin/shop/product/add/").content.decode()
        assert (
            page.count("<claimcheck-upload") == 4
        )  # two, one in a row, one in the template of rows
        assert 'name="photos-__prefix__-image"' in page
        assert page.count("/static/upload-field.js") == 1
        image, first, second = (uploaded(ann, "product/image")["id"] for _ in range(3))
        photo = uploaded(ann, "photo/image")["id"]
        sent = product_form(image=image) | photos(photo, first)
        answer = ann.post("/admin/shop/product/add/", sent)
        assert answer.status_code == 302, errors(answer)
        product = Product.objects.get()
        assert product.image == image
        assert [each.image.id for each in product.photos.order_by("pk")] == [photo, first]
        rows = list(product.photos.order_by("pk"))
        sent = product_form(image=image, name="Ship") | photos(photo, second, of=rows)
        answer = ann.post(f"/admin/shop/product/{product.pk}/change/", sent)
        assert answer.status_code == 302, errors(answer)
        product.refresh_from_db()
        assert (product.name, product.image) == ("Ship", image)
        assert [each.image.id for each in product.photos.order_by("pk")] == [photo, second]

    def test_a_page_asks_once_for_all_of_its_files(self, shop: Place, asked: list[str]) -> None:
        ann = staff("ann", "change_product", "change_photo")
        files = [uploaded(ann, "photo/image", filename=f"{n}.png")["id"] for n in range(3)]
        product = Product.objects.create(name="Boat", image=files[0])
        for file in files * 3:
            Photo.objects.create(product=product, image=file)
        asked.clear()
        page = ann.get(f"/admin/shop/product/{product.pk}/change/").content.decode()
        assert page.count('data-filename="0.png"') == 4
        assert page.count("X-Amz-Signature") == 10
        assert asked == ["POST /v1/files/presign"]

    def test_files_of_others_are_refused(self, shop: Place) -> None:
        ann, bob = (
            staff("ann", "add_product", "add_photo"),
            staff("bob", "add_product", "add_photo"),
        )
        of_ann = uploaded(ann, "product/image")["id"]
        answer = bob.post("/admin/shop/product/add/", product_form(image=of_ann) | photos())
        assert "no such file of yours" in errors(answer)
        answer = bob.post("/admin/shop/product/add/", product_form() | photos(of_ann))
        assert "no such file of yours" in errors(answer)
        assert not Product.objects.exists()
        # Nor are they shown, by a link that puts one into the form.
        page = bob.get(f"/admin/shop/product/add/?image={of_ann}").content.decode()
        assert of_ann not in page.replace(f"image%3D{of_ann}", "")
        assert "Holiday.png" not in page

    def test_the_admins_own_permissions_give_sessions(
        self, shop: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nobody = staff("ann")
        assert status(nobody) == 403
        product_admin = admin.site._registry[Product]
        monkeypatch.setattr(product_admin, "has_change_permission", lambda *_, **__: True)
        assert status(nobody) == 200
        assert status(nobody, "/claimcheck/session/shop/photo/image/") == 403
        monkeypatch.setattr(PhotoInline, "has_add_permission", lambda *_, **__: True)
        assert status(nobody, "/claimcheck/session/shop/photo/image/") == 200
        # Who is no staff has no admin.
        assert status(signed_in(person("bob"))) == 403

    def test_save_as_new_takes_over_ones_own_files(
        self, shop: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admin.site._registry[Product], "save_as", True)
        ann, bob = (staff(name, "add_product", "change_product") for name in ("ann", "bob"))
        image = uploaded(ann, "product/image")["id"]
        product = Product.objects.create(name="Boat", image=image)
        sent = product_form(image=image, name="Ship") | photos() | {"_saveasnew": "1"}
        path = f"/admin/shop/product/{product.pk}/change/"
        assert "no such file of yours" in errors(bob.post(path, sent))
        assert ann.post(path, sent).status_code == 302
        assert Product.objects.filter(image=image).count() == 2

    def test_names_of_files_are_no_html(self, shop: Place) -> None:
        ann = staff("ann", "add_product", "change_product")
        name = "\"><img src=x onerror='alert(1)'>.png"
        image = uploaded(ann, "product/image", filename=name)["id"]
        product = Product.objects.create(name="Boat", image=image)
        page = ann.get(f"/admin/shop/product/{product.pk}/change/").content.decode()
        assert "onerror=" in page  # it is shown
        assert "<img src=x" not in page
        assert '">' not in re.findall('data-filename="[^>]*', page)[0]

    def test_one_who_may_only_view_gets_no_field(self, shop: Place) -> None:
        product = Product.objects.create(name="Boat")
        page = staff("ann", "view_product").get(f"/admin/shop/product/{product.pk}/change/")
        assert page.status_code == 200
        assert b"<claimcheck-upload" not in page.content


def staff(name: str, *permissions: str) -> Browser:
    return signed_in(person(name, *permissions, is_staff=True))


def product_form(image: str = "", name: str = "Boat") -> dict[str, str]:
    return {"name": name, "image": image, "manual": ""}


def photos(*images: str, of: list[Photo] = ()) -> dict[str, str]:  # type: ignore[assignment]
    """The rows of the inline form, of photos that are there where `of` has them."""
    sent = {"photos-TOTAL_FORMS": str(len(images)), "photos-INITIAL_FORMS": str(len(of))}
    for n, image in enumerate(images):
        sent[f"photos-{n}-image"] = image
    for n, photo in enumerate(of):
        sent |= {f"photos-{n}-id": str(photo.pk), f"photos-{n}-product": str(photo.product_id)}
    return sent


def errors(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(re.findall(r"errorlist[^>]*><li>([^<]*)", answer.content.decode()))
