"""The model field, its value on instances, and many at once."""

import pickle
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from claimcheck_client import Problem, Unreachable
from django.core import serializers
from django.core.exceptions import SynchronousOnlyOperation, ValidationError
from django.core.management import call_command
from django.db import connection
from django.template import Context, Template
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_claimcheck import ClaimcheckFile, NoFile, prefetch_claimcheck
from django_claimcheck.conf import conf

from tests.clients.django.place import PNG, Place, person, signed_in, uploaded
from tests.support.django_shop.models import Clip, Photo, Product
from tests.support.service import UNKNOWN_ID

AWAY = {"URL": "http://127.0.0.1:9", "KEY": "key", "TIMEOUT": 1}
LIST = Template("{% for each in products %}<img src='{{ each.image.url }}'>{% endfor %}")


def test_value(shop: Place, asked: list[str]) -> None:
    ann = signed_in(person("ann", "add_product"))
    file = uploaded(ann, "product/image")
    manual = uploaded(ann, "product/manual", b"hello", "Guide.txt")
    asked.clear()
    made = Product.objects.create(name="Boat", image=file["id"], manual=manual["url"])
    product = Product.objects.get(image=file["id"], manual=made.manual)
    assert (str(product.image), str(product.manual)) == (file["id"], manual["url"])
    assert product.image == file["id"] == product.image.id
    assert asked == []  # the column is enough for all of this
    assert product.image.filename == "Holiday.png"
    assert (product.image.size, product.image.content_type) == (len(PNG), "image/png")
    assert product.image.object_url == file["url"]
    assert product.image.content_url.startswith(f"{shop.url}/v1/files/{file['id']}/content?grant=")
    assert product.image.file["owner"].startswith("django:")
    assert asked == ["POST /v1/files/presign"]  # once for all of it
    assert httpx.get(product.image.url, timeout=60).content == PNG
    assert httpx.get(product.image.content_url, follow_redirects=True, timeout=60).content == PNG
    assert product.manual.id == manual["id"]
    assert httpx.get(product.manual.url, timeout=60).content == b"hello"


def test_empty(shop: Place, asked: list[str]) -> None:
    Product.objects.create(name="Boat")
    product = Product.objects.get(image="", manual=None)
    assert (str(product.image), str(product.manual)) == ("", "")
    assert not product.image
    assert product.image == "" and product.manual == None  # noqa: E711, PT018
    assert not product.image.exists
    with pytest.raises(NoFile, match="image is empty"):
        _ = product.image.url
    # Each column has one way to be empty.
    product.image, product.manual = None, ""
    product.save()
    assert Product.objects.filter(image="", manual=None).exists()
    assert asked == []


def test_no_such_file(shop: Place, asked: list[str]) -> None:
    for value in (UNKNOWN_ID, "nonsense", UNKNOWN_ID.upper()):
        image = Product(image=value).image
        assert not image.exists
        with pytest.raises(NoFile, match=f"no file {value}"):
            _ = image.url
    assert len(asked) == 1  # for what can be an id, and not twice
    assert not Product(manual="https://elsewhere.example/a.txt").manual.exists


def test_templates_show_nothing(shop: Place) -> None:
    products = [Product(image=UNKNOWN_ID), Product()]
    assert LIST.render(Context({"products": products})) == "<img src=''>" * 2
    with override_settings(CLAIMCHECK=AWAY):
        away = [Product(image=UNKNOWN_ID)]
        assert LIST.render(Context({"products": away})) == "<img src=''>"
        # Programs are told.
        with pytest.raises(Unreachable):
            _ = away[0].image.url
    with (
        override_settings(CLAIMCHECK={"URL": shop.url, "KEY": "claimcheck_key_wrong"}),
        pytest.raises(Problem, match="token"),
    ):
        _ = Product(image=UNKNOWN_ID).image.exists


def test_a_link_is_renewed(shop: Place, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ann = signed_in(person("ann", "add_product"))
    product = Product(image=uploaded(ann, "product/image")["id"])
    asked.clear()
    ends = product.image.file["presigned_url_expires_at"]
    now = timezone.now()
    for ahead, requests in ((timedelta(minutes=50), 1), (timedelta(hours=2), 2)):
        monkeypatch.setattr(timezone, "now", lambda ahead=ahead: now + ahead)
        _ = product.image.url
        assert len(asked) == requests
    assert ends > now.isoformat()


def test_copies_know_it_too(shop: Place, asked: list[str]) -> None:
    ann = signed_in(person("ann", "add_product"))
    product = Product.objects.create(image=uploaded(ann, "product/image")["id"])
    asked.clear()
    link = product.image.url
    copy = pickle.loads(pickle.dumps(product))
    assert (copy.image, copy.image.url) == (product.image, link)
    assert hash(copy.image) == hash(product.image)
    assert len(asked) == 1
    # But no failure.
    with override_settings(CLAIMCHECK=AWAY):
        [failed] = prefetch_claimcheck([Product(image=product.image.id)])
    assert pickle.loads(pickle.dumps(failed)).image.filename == "Holiday.png"
    [deferred] = Product.objects.defer("image")
    assert deferred.image == product.image
    written = serializers.serialize("json", [product])
    [read] = serializers.deserialize("json", written)
    assert read.object.image == product.image


def a_hundred(shop: Place) -> list[Product]:
    """A hundred products with pictures and manuals, of three files each."""
    ann = signed_in(person("ann", "add_product"))
    images = [uploaded(ann, "product/image", filename=f"{n}.png")["id"] for n in range(3)]
    manuals = [uploaded(ann, "product/manual", b"%d" % n, f"{n}.txt")["url"] for n in range(3)]
    return Product.objects.bulk_create(
        Product(name=str(n), image=images[n % 3], manual=manuals[n % 3]) for n in range(100)
    )


def test_a_page_of_a_hundred_asks_once(shop: Place, asked: list[str]) -> None:
    a_hundred(shop)
    asked.clear()
    with CaptureQueriesContext(connection) as plain:
        names = [product.name for product in Product.objects.order_by("pk")]
    with CaptureQueriesContext(connection) as queries:
        products = prefetch_claimcheck(Product.objects.order_by("pk"), "image")
        page = LIST.render(Context({"products": products}))
        details = [(each.image.filename, each.image.size) for each in products]
    assert [product.name for product in products] == names
    assert page.count("X-Amz-Signature=") == 100
    assert details == [(f"{n % 3}.png", len(PNG)) for n in range(100)]
    assert asked == ["POST /v1/files/presign"]
    assert len(queries) <= 1.2 * len(plain)
    with CaptureQueriesContext(connection) as queries:
        assert len(prefetch_claimcheck(Product.objects.only("name"))) == 100
    assert len(queries) == 1
    # Those by URL are a request of their own; what is known is not asked for again.
    prefetch_claimcheck(products)
    assert [each.manual.filename for each in products] == [f"{n % 3}.txt" for n in range(100)]
    assert asked == ["POST /v1/files/presign"] * 2


def test_prefetching_what_is_not_there(shop: Place, asked: list[str]) -> None:
    assert prefetch_claimcheck([]) == []
    assert prefetch_claimcheck([Product(), Clip()]) != []
    assert asked == []
    products = [Product(image=UNKNOWN_ID), Photo(image=UNKNOWN_ID)]
    assert [each.image.exists for each in prefetch_claimcheck(products, "image")] == [False, False]
    assert len(asked) == 1
    with pytest.raises(TypeError, match=r"Product.name is no ClaimcheckField"):
        prefetch_claimcheck(products, "name")
    with override_settings(CLAIMCHECK=AWAY):
        away = prefetch_claimcheck([Product(image=UNKNOWN_ID) for _ in range(100)])
        asked.clear()
        assert LIST.render(Context({"products": away})) == "<img src=''>" * 100
        assert asked == []


def test_migrations(shop: Place) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    image, manual, film = (
        model._meta.get_field(name)
        for model, name in ((Product, "image"), (Product, "manual"), (Clip, "film"))
    )
    assert image.deconstruct()[1:] == (
        "django_claimcheck.fields.ClaimcheckField", [], {"dest": "images", "blank": True}
    )  # fmt: skip
    options = manual.deconstruct()[3]
    assert options == {"dest": "manuals", "store": "url", "blank": True, "null": True}
    # What happens at the service is no matter of the database's.
    assert film.deconstruct()[3] == {"dest": "films", "blank": True}
    for field in (image, manual):
        assert field.clone().deconstruct()[1:] == field.deconstruct()[1:]
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, "shop_product")
    assert {c.name: c.display_size for c in found if c.name in ("image", "manual")} == {
        "image": 36, "manual": 2048
    }  # fmt: skip


def test_values_are_files_of_their_field() -> None:
    image = Product(image="a").image
    assert isinstance(image, ClaimcheckFile)
    assert repr(image) == "<ClaimcheckFile: a>"
    assert Product(image=image).image == image != Product(image="b").image


def test_a_file_of_another_field_is_kept_as_this_one_keeps_it(shop: Place) -> None:
    with shop.client() as client:
        file = client.upload(PNG, "images", filename="a.png")
    product = Product.objects.create(image=file["id"])
    product.manual = product.image
    product.save()
    assert Product.objects.filter(manual=file["url"], image=product.manual).get() == product
    product.refresh_from_db()
    photo = Photo(product=product, image=product.manual)
    photo.save()
    photo.refresh_from_db()
    assert (str(photo.image), photo.image.filename) == (file["id"], "a.png")
    assert Photo.objects.filter(image=UUID(file["id"])).exists()
    assert str(Product(image=UUID(file["id"])).image) == file["id"]  # type: ignore[misc]
    with pytest.raises(NoFile):
        photo.image = Product(manual="https://elsewhere.example/a.txt").manual


def test_empty_columns_are_alike_however_they_are_written(shop: Place) -> None:
    products = Product.objects.bulk_create([Product(name="Boat"), Product(name="Ship", manual="")])
    written = serializers.serialize("json", products)
    for read in serializers.deserialize("json", written):
        read.save()
    Product.objects.filter(name="Boat").update(manual="")
    for product in products:
        product.manual = ""
    Product.objects.bulk_update(products[1:], ["manual"])
    assert list(Product.objects.values_list("image", "manual")) == [("", None)] * 2


def test_empty_columns_are_no_duplicates(shop: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Product._meta.get_field("manual").__dict__, "unique", True)
    url = "https://elsewhere.example/a.txt"
    Product.objects.create(name="Boat", manual=url)
    Product.objects.create(name="Raft")
    Product(name="Ship").full_clean()
    with pytest.raises(ValidationError, match="already exists"):
        Product(name="Ship", manual=url).full_clean()


def test_event_loops_are_not_held_up(shop: Place) -> None:
    image = Product(image=UNKNOWN_ID).image

    async def view() -> list[Product]:
        with pytest.raises(SynchronousOnlyOperation):
            _ = image.url
        return await sync_to_async(prefetch_claimcheck)(Product.objects.all())

    assert async_to_sync(view)() == []


def test_the_key_is_not_shown() -> None:
    with override_settings(CLAIMCHECK={"URL": "http://127.0.0.1:9", "KEY": "cc_secret"}):
        assert "cc_secret" not in repr(conf())
