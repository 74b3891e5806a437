"""Forms: what they show, take and refuse."""

import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from claimcheck_client import Client
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.forms import modelform_factory
from django.test import AsyncClient, override_settings
from django.test import Client as Browser
from django_claimcheck import NoFile, acting_as

from tests.clients.django.place import PNG, Place, person, session_of, signed_in, uploaded
from tests.support.django_shop.models import Photo, Product, Report
from tests.support.service import UNKNOWN_ID

ProductForm = modelform_factory(Product, fields=["name", "image", "manual"])
PhotoForm = modelform_factory(Photo, fields=["image"])
ReportForm = modelform_factory(Report, fields=["paper"])


def inputs(html: str) -> dict[str, dict[str, str]]:
    """The hidden inputs in the elements of a form, by name: their attributes."""
    found = re.findall(r'<claimcheck-upload[^>]*><input type="hidden" ([^>]*)>', html)
    each = [dict(re.findall(r'([a-z-]+)="([^"]*)"', attributes)) for attributes in found]
    return {one["name"]: one for one in each}


def test_an_empty_form(shop: Place, asked: list[str]) -> None:
    html = ProductForm().as_p()
    assert (
        '<claimcheck-upload id="id_image" name="image" session="/claimcheck/session/shop/product/'
        'image/" csrf-input="csrfmiddlewaretoken" csrf-cookie="csrftoken" '
        'csrf-header="X-CSRFTOKEN"><input type="hidden" name="image" value="">' in html
    )
    assert "required" in PhotoForm().as_p()
    # Nothing that a strict Content-Security-Policy would refuse.
    page = html + str(ProductForm().media)
    assert f'<script src="{shop.url}/static/upload-field.js" type="module"></script>' in page
    assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=", page)
    assert asked == []


def test_options(shop: Place) -> None:
    assert 'accept="image/png,.jpg" max-size="5000000" deletes>' in PhotoForm().as_p()
    assert "accept" not in ProductForm().as_p()
    assert "deletes" not in ProductForm().as_p()
    changed = {
        "URL": shop.url, "KEY": shop.key,
        "BROWSER_URL": "https://files.example", "SCRIPT": "/static/upload-field.js",
    }  # fmt: skip
    with override_settings(CLAIMCHECK=changed, CSRF_HEADER_NAME="HTTP_X_TOKEN"):
        assert 'src="/static/upload-field.js" type="module"' in str(PhotoForm().media)
        assert 'csrf-header="X-TOKEN"' in PhotoForm().as_p()


def test_what_a_user_has_uploaded_is_taken(shop: Place) -> None:
    user = person("ann", "add_product")
    ann = signed_in(user)
    image = uploaded(ann, "product/image")
    manual = uploaded(ann, "product/manual", b"hello", "Guide.txt")
    data = {"name": "Boat", "image": image["id"], "manual": manual["id"]}
    with acting_as(user):
        form = ProductForm(data)
        assert form.is_valid(), form.errors
        product = form.save()
        product.refresh_from_db()
        assert (str(product.image), str(product.manual)) == (image["id"], manual["url"])
        # Shown again because of another field's fault: as it was, and good for sending again.
        again = ProductForm(data | {"name": ""})
        assert not again.is_valid()
        shown = inputs(again.as_p())
        assert shown["manual"]["value"] == manual["id"]
        assert shown["manual"]["data-filename"] == "Guide.txt"
        assert "data-src" not in shown["manual"]
        assert shown["image"]["data-filename"] == "Holiday.png"
        assert shown["image"]["data-size"] == str(len(PNG))
        assert "X-Amz-Signature" in shown["image"]["data-src"]


def test_what_an_object_has_stays(shop: Place, asked: list[str]) -> None:
    ann, bob = person("ann", "add_product"), person("bob")
    image = uploaded(signed_in(ann), "product/image")
    manual = uploaded(signed_in(ann), "product/manual", b"hello", "Guide.txt")
    product = Product.objects.create(name="Boat", image=image["id"], manual=manual["url"])
    asked.clear()
    with acting_as(bob):
        shown = inputs(ProductForm(instance=product).as_p())
        assert shown["manual"]["value"] == manual["url"]
        assert shown["image"]["data-filename"] == "Holiday.png"
        asked.clear()
        kept = {"name": "Ship", "image": image["id"], "manual": manual["url"]}
        form = ProductForm(kept, instance=product)
        assert form.is_valid(), form.errors
        assert form.changed_data == ["name"]
        form.save()
        # A form without the field leaves it; an empty one empties it.
        form = ProductForm({"name": "Ship", "manual": ""}, instance=product)
        assert form.is_valid(), form.errors
        assert form.changed_data == ["manual"]
        form.save()
    product.refresh_from_db()
    assert (str(product.image), product.manual.value) == (image["id"], None)
    assert asked == []


def test_a_file_must_be_given_where_it_is_required(shop: Place) -> None:
    for data in ({}, {"image": ""}):
        form = PhotoForm(data)
        assert form.errors["image"] == ["This field is required."]


def refused(user: Any, image: str, form: Any = ProductForm, **more: Any) -> tuple[str, str]:
    """Why a form refuses a file, by its code, and what the field shows then."""
    with acting_as(user):
        bound = form({"name": "Boat", "image": image, "manual": ""}, **more)
        assert not bound.is_valid()
        [error] = bound.errors.as_data()["image"]
        shown = inputs(bound.as_p())["image"]
    assert ("data-src" in shown) is (shown["value"] != "" and shown["value"] != image)
    return str(error.code), shown["value"]


def test_files_of_others_are_refused_and_not_shown(shop: Place) -> None:
    ann, bob = person("ann", "add_product"), person("bob", "add_product")
    image = uploaded(signed_in(ann), "product/image")
    manual = uploaded(signed_in(bob), "product/manual", b"hello", "Guide.txt")
    with shop.client() as client:
        the_shops = client.upload(PNG, "images", filename="a.png")
    for nobodys in (
        image["id"],  # another user's
        image["url"],
        manual["id"],  # of another destination
        the_shops["id"],  # of nobody who signs in
        UNKNOWN_ID,
        image["id"].upper(),
        "nonsense",
        "../../v1/files",
        "x" * 5000,
    ):
        assert refused(bob, nobodys) == ("unknown", ""), nobodys
    # An object's own file stands there instead, and is not lost.
    own = uploaded(signed_in(bob), "product/image")["id"]
    product = Product.objects.create(name="Boat", image=own)
    with acting_as(bob):
        form = ProductForm({"name": "Boat", "image": image["id"]}, instance=product)
        assert inputs(form.as_p())["image"]["value"] == own
    # Nor does another object's file pass for this one's.
    other = Product(name="Ship", image=image["id"])
    assert refused(bob, image["id"], instance=product)[0] == "unknown"
    assert ProductForm({"name": "Ship", "image": image["id"]}, instance=other).is_valid()


def test_a_value_that_a_link_brings_is_not_shown(shop: Place, asked: list[str]) -> None:
    """As `/admin/shop/product/add/?image=...` gives it to the form."""
    ann, bob = person("ann", "add_product"), person("bob", "add_product")
    image = uploaded(signed_in(ann), "product/image")["id"]
    asked.clear()
    with acting_as(bob):
        assert inputs(ProductForm(initial={"image": image}).as_p())["image"]["value"] == ""
        plain: Any = type(
            "Plain", (forms.Form,), {"image": Product._meta.get_field("image").formfield()}
        )
        assert inputs(plain(initial={"image": image}).as_p())["image"]["value"] == ""
        assert refused(bob, image, plain, initial={"image": image})[0] == "unknown"
        assert asked.count("POST /v1/files/presign") == 1  # to refuse it
        # What a program has taken from an object is another thing.
        form = plain(initial={"image": Product(image=image).image})
        assert inputs(form.as_p())["image"]["data-filename"] == "Holiday.png"


def test_uploads_that_are_no_files_are_refused(shop: Place) -> None:
    user = person("ann", "add_product")
    assert refused(user, announced_only(user))[0] == "unknown"


def announced_only(user: Any) -> str:
    """The id of an upload that was announced, and never confirmed."""
    session = session_of(signed_in(user), "product/image")
    with Client(session["endpoint"], session["token"], cache=None) as client:
        body = {"destination": "images", "filename": "a.png", "size": len(PNG)}
        return str(client.request("POST", "/v1/uploads", json=body)["id"])


def test_what_a_scanner_says_counts(shop: Place) -> None:
    user = person("ann", "add_report")
    file = uploaded(signed_in(user), "report/paper", b"hello", "a.txt")["id"]
    with acting_as(user):
        # Nobody can read it yet; whoever sends the form need not wait for that.
        form = ReportForm({"paper": file})
        assert form.is_valid(), form.errors
        report = form.save()
        with pytest.raises(NoFile, match="scan is pending"):
            _ = report.paper.url
        assert "data-src" not in ReportForm(instance=report).as_p()
    for verdict, is_taken in (("infected", False), ("failed", False), ("clean", True)):
        shop.judge(file, verdict)
        with acting_as(user):
            form = ReportForm({"paper": file})
            assert form.is_valid() is is_taken, verdict
            assert is_taken or form.errors.as_data()["paper"][0].code == "quarantined"


def test_whoever_is_not_signed_in_gives_no_files(shop: Place) -> None:
    user = person("ann", "add_product")
    image = uploaded(signed_in(user), "product/image")["id"]
    assert refused(AnonymousUser(), image) == ("signed_out", "")
    assert refused(None, image) == ("signed_out", "")
    user.is_active = False
    assert refused(user, image) == ("signed_out", "")


def test_forms_of_a_site_know_who_sends_them(shop: Place) -> None:
    """Also where an ASGI server runs it."""
    ann, bob = person("ann", "add_product"), person("bob", "add_product")
    image = uploaded(signed_in(ann), "product/image")["id"]
    sent = {"name": "Boat", "image": image}
    for user, is_taken in ((ann, True), (bob, False)):
        assert (signed_in(user).post("/form/", sent).content == image.encode()) is is_taken
        later = AsyncClient()
        later.force_login(user)
        answer: Any = async_to_sync(later.post)("/form/", sent)
        assert (answer.content == image.encode()) is is_taken
    assert Browser().post("/form/", sent).content != image.encode()


def test_while_the_service_is_away(shop: Place) -> None:
    user = person("ann", "add_product")
    image = uploaded(signed_in(user), "product/image")
    manual = uploaded(signed_in(user), "product/manual", b"hello", "Guide.txt")
    product = Product.objects.create(name="Boat", image=image["id"], manual=manual["url"])
    product = Product.objects.get()
    with override_settings(CLAIMCHECK={"URL": "http://127.0.0.1:9", "KEY": "key", "TIMEOUT": 1}):
        # The form keeps what was sent, so that it can be sent again.
        assert refused(user, image["id"]) == ("unavailable", image["id"])
        shown = inputs(ProductForm(instance=product).as_p())
        assert shown["image"] == {"name": "image", "value": image["id"]}
        assert shown["manual"]["data-filename"].endswith("guide.txt")
        form = ProductForm({"name": "Ship", "image": image["id"]}, instance=product)
        assert form.is_valid()
