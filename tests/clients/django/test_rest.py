"""The serializer field of Django REST framework."""

from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django_claimcheck import acting_as, upload_session
from django_claimcheck.rest import ClaimcheckSerializerField
from rest_framework import generics, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from tests.clients.django.place import PNG, Place, person, signed_in, uploaded
from tests.support.django_shop.models import Photo, Product
from tests.support.service import UNKNOWN_ID


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product, and its picture as a link too."""

    presigned_image = ClaimcheckSerializerField(source="image", read_only=True)
    image = ClaimcheckSerializerField(shows="id", required=False)

    class Meta:
        model = Product
        fields = ("name", "image", "presigned_image", "manual")


class PhotoSerializer(serializers.ModelSerializer[Photo]):
    """All that the serializer finds by itself."""

    class Meta:
        model = Photo
        fields = "__all__"


class DetailSerializer(serializers.ModelSerializer[Product]):
    """A picture with all that a page wants to know, and the photos."""

    image = ClaimcheckSerializerField(shows="file")
    manual = ClaimcheckSerializerField(shows="content_url")
    photos = PhotoSerializer(many=True)

    class Meta:
        model = Product
        fields = ("image", "manual", "photos")


def test_it_is_made_by_itself(shop: Place) -> None:
    fields = PhotoSerializer().get_fields()
    assert isinstance(fields["image"], ClaimcheckSerializerField)
    assert isinstance(ProductSerializer().get_fields()["manual"], ClaimcheckSerializerField)


def test_a_list_asks_once(shop: Place, asked: list[str]) -> None:
    ann = signed_in(person("ann", "add_product"))
    images = [uploaded(ann, "product/image", filename=f"{n}.png")["id"] for n in range(3)]
    Product.objects.bulk_create(Product(name=str(n), image=images[n % 3]) for n in range(99))
    Product.objects.create(name="without")
    with CaptureQueriesContext(connection) as plain:
        names = [product.name for product in Product.objects.order_by("pk")]
    asked.clear()
    for objects in (Product.objects.order_by("pk"), list(Product.objects.order_by("pk"))):
        with CaptureQueriesContext(connection) as queries:
            data: Any = ProductSerializer(objects, many=True).data
        assert [each["name"] for each in data] == names
        assert [each["image"] for each in data[:3]] == images
        assert sum("X-Amz-Signature" in (each["presigned_image"] or "") for each in data) == 99
        fields = ("image", "presigned_image", "manual")
        assert data[99] == {"name": "without", **dict.fromkeys(fields)}
        assert asked == ["POST /v1/files/presign"]
        assert len(queries) <= 1.2 * len(plain)
        asked.clear()


class PhotosSerializer(serializers.ModelSerializer[Photo]):
    """Photos, each with the picture of its product; its manual by the id alone."""

    of = ClaimcheckSerializerField(source="product.image", read_only=True)
    manual = ClaimcheckSerializerField(source="product.manual", shows="id", read_only=True)

    class Meta:
        model = Photo
        fields = ("of", "image", "manual")


def test_a_list_asks_for_what_it_shows(shop: Place, asked: list[str]) -> None:
    ann = signed_in(person("ann", "add_product"))
    image = uploaded(ann, "product/image")["id"]
    product = Product.objects.create(name="Boat", image=image)
    for _ in range(5):
        Photo.objects.create(product=product, image=UNKNOWN_ID)
    asked.clear()
    photos = Photo.objects.select_related("product").only(
        "image", "product__image", "product__manual"
    )
    with CaptureQueriesContext(connection) as queries:
        data: Any = PhotosSerializer(photos, many=True).data
    assert [bool(each["of"]) for each in data] == [True] * 5
    assert [(each["image"], each["manual"]) for each in data] == [(None, None)] * 5
    assert asked == ["POST /v1/files/presign"]
    assert len(queries) == 1


def test_an_object(shop: Place, asked: list[str]) -> None:
    ann = signed_in(person("ann", "add_product"))
    image = uploaded(ann, "product/image")
    manual = uploaded(ann, "product/manual", b"hello", "Guide.txt")
    product = Product.objects.create(name="Boat", image=image["id"], manual=manual["url"])
    Photo.objects.create(product=product, image=image["id"])
    Photo.objects.create(product=product, image=UNKNOWN_ID)
    data: Any = DetailSerializer(product).data
    assert data["image"] == {
        "id": image["id"],
        "filename": "Holiday.png",
        "content_type": "image/png",
        "size": len(PNG),
        "url": product.image.url,
    }
    assert data["manual"].startswith(f"{shop.url}/v1/files/{manual['id']}/content")
    assert [bool(each["image"]) for each in data["photos"]] == [True, False]
    away = {"URL": "http://127.0.0.1:9", "KEY": "key", "TIMEOUT": 1}
    with override_settings(CLAIMCHECK=away):
        data = ProductSerializer(Product.objects.all(), many=True).data
        assert [(each["image"], each["presigned_image"]) for each in data] == [(image["id"], None)]


def test_what_is_taken(shop: Place) -> None:
    ann, bob = person("ann", "add_product"), person("bob", "add_product")
    image = uploaded(signed_in(ann), "product/image")["id"]
    manual = uploaded(signed_in(ann), "product/manual", b"hello", "Guide.txt")
    with acting_as(ann):
        made = ProductSerializer(data={"name": "Boat", "image": image, "manual": manual["id"]})
        assert made.is_valid(), made.errors
        made.save()
    product = Product.objects.get()
    assert (str(product.image), str(product.manual)) == (image, manual["url"])
    with acting_as(bob):
        # What an object has already stays; what another user has uploaded does not come.
        kept = ProductSerializer(product, data={"name": "Ship", "image": image, "manual": None})
        assert kept.is_valid(), kept.errors
        kept.save()
        for given in (image, manual["id"], UNKNOWN_ID, "nonsense", "", 7, ["a"], {"id": image}):
            refused = ProductSerializer(data={"name": "Boat", "image": given})
            assert refused.is_valid() is (given == ""), given
    product.refresh_from_db()
    assert (product.image, product.manual.value) == (image, None)
    for empty in ("", None):
        emptied = ProductSerializer(product, data={"image": empty}, partial=True)
        assert emptied.is_valid(), emptied.errors
        emptied.save()
        product.refresh_from_db()
        assert product.image.value == ""
    with acting_as(None):
        signed_out = ProductSerializer(data={"name": "Boat", "image": image})
        assert not signed_out.is_valid()
        assert signed_out.errors["image"][0].code == "signed_out"
    required = PhotoSerializer(data={"product": product.pk, "image": ""})
    assert not required.is_valid()
    assert set(required.errors) == {"image"}


class ManualSerializer(serializers.ModelSerializer[Product]):
    """A file that is kept by its URL, shown by its id."""

    manual = ClaimcheckSerializerField(shows="id")

    class Meta:
        model = Product
        fields = ("name", "manual")


def test_what_was_shown_can_be_sent_back(shop: Place) -> None:
    ann, bob = person("ann", "add_product"), person("bob", "add_product")
    manual = uploaded(signed_in(ann), "product/manual", b"hello", "Guide.txt")
    product = Product.objects.create(name="Boat", manual=manual["url"])
    with acting_as(bob):
        sent = {**ManualSerializer(product).data, "name": "Ship"}
        assert sent["manual"] == manual["id"]
        saved = ManualSerializer(product, data=sent)
        assert saved.is_valid(), saved.errors
        saved.save()
        other = ManualSerializer(Product.objects.create(), data=sent)
        assert not other.is_valid()
    product.refresh_from_db()
    assert (product.name, str(product.manual)) == ("Ship", manual["url"])


def test_elsewhere_than_on_a_model_it_says_so(shop: Place) -> None:
    plain: Any = type("Plain", (serializers.Serializer,), {"image": ClaimcheckSerializerField()})
    with pytest.raises(TypeError, match="image is no ClaimcheckField"):
        plain(data={"image": UNKNOWN_ID}).is_valid()


class Token(BaseAuthentication):
    """By a header, as an API's clients have it."""

    def authenticate(self, request: Request) -> Any:
        from django.contrib.auth.models import User

        name = request.headers.get("X-User")
        return (User.objects.get(username=name), None) if name else None


class Products(generics.CreateAPIView[Product]):
    authentication_classes = (Token,)
    permission_classes = (AllowAny,)
    serializer_class = ProductSerializer
    queryset = Product.objects.all()


class Sessions(APIView):
    authentication_classes = (Token,)
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        field: Any = Product._meta.get_field("image")
        return Response(upload_session(request, field))


def test_an_api_knows_its_users(shop: Place, asked: list[str]) -> None:
    from claimcheck_client import Client
    from django_claimcheck.users import claimcheck_middleware

    person("ann", "add_product")
    person("bob")
    products, sessions = (claimcheck_middleware(view.as_view()) for view in (Products, Sessions))

    def post(view: Any, body: dict[str, Any], name: str = "") -> Any:
        headers = {"X-User": name} if name else {}
        return view(APIRequestFactory().post("/", body, format="json", headers=headers))

    assert post(sessions, {}).status_code in (401, 403)
    assert post(sessions, {}, "bob").status_code == 403
    assert asked == []
    session = post(sessions, {}, "ann").data
    assert session["resumable"] is False
    with Client(session["endpoint"], session["token"], cache=None) as client:
        image = client.upload(PNG, "images", filename="a.png")["id"]
    body = {"name": "Boat", "image": image}
    assert post(products, body, "bob").status_code == 400
    assert post(products, body).status_code == 400
    assert post(products, body, "ann").status_code == 201
