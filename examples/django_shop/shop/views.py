"""The shop's public pages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django_claimcheck import prefetch_claimcheck

from shop.models import Product


def products(request: HttpRequest) -> HttpResponse:
    """All products; their pictures' links are one request to the service."""
    found = prefetch_claimcheck(Product.objects.all(), "image")
    return render(request, "shop/products.html", {"products": found})


def product(request: HttpRequest, pk: int) -> HttpResponse:
    [found] = prefetch_claimcheck([get_object_or_404(Product, pk=pk)])
    return render(request, "shop/product.html", {"product": found})
