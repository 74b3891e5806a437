"""Django's admin of the shop."""

from django.contrib import admin

from tests.support.django_shop.models import Photo, Product


class PhotoInline(admin.TabularInline[Photo, Product]):
    model = Photo
    extra = 1


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    inlines = (PhotoInline,)
