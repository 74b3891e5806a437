"""Read by the type checker alone: the types that a project sees with django-stubs.

An ignored error that is none would be one: the checker warns of it.
"""

from typing import Any, assert_type

from claimcheck_client import ClaimcheckError
from django_claimcheck import ClaimcheckFile, NoFile, prefetch_claimcheck
from django_claimcheck.fields import ClaimcheckField

from tests.support.django_shop.models import Photo, Product


def values(product: Product, photo: Photo) -> str | None:
    assert_type(product.image, ClaimcheckFile)
    assert_type(product.manual, ClaimcheckFile)  # though it may be null
    assert_type(photo.product.image.url, str)
    assert_type(product.image.size, int)
    assert_type(product.image.file, dict[str, Any])
    product.image = photo.image
    product.image = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"
    product.manual = None
    product.image = 1  # type: ignore[assignment]
    try:
        return product.image.content_url
    except (NoFile, ClaimcheckError):
        return None


def many() -> list[Product]:
    found = Product.objects.filter(image="", manual__isnull=True).exclude(photos__image="")
    assert_type(prefetch_claimcheck(found, "image"), list[Product])
    return prefetch_claimcheck(list(found))


def options() -> None:
    ClaimcheckField(dest="images", store="url", attach=("product", "image"), on_delete="remove")
    ClaimcheckField(dest="images", store="key")  # type: ignore[arg-type]
    ClaimcheckField(dest="images", on_delete="cascade")  # type: ignore[arg-type]
