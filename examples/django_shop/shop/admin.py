from claimcheck_client import ClaimcheckError
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django_claimcheck import NoFile, prefetch_claimcheck

from shop.models import Product


class ProductList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """The links of a page's pictures are one request to the service."""
        super().get_results(request)
        prefetch_claimcheck(self.result_list, "image")


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ("name", "price", "picture")
    search_fields = ("name",)

    def get_changelist(self, *_: object, **__: object) -> type[ChangeList]:
        return ProductList

    @admin.display(description="picture")
    def picture(self, product: Product) -> str:
        try:
            return format_html('<img src="{}" alt="" width="48">', product.image.url)
        except (NoFile, ClaimcheckError):  # the list is useful without it
            return ""
