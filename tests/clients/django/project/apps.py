"""The application."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "tests.clients.django.project"
    label = "shop"
    default_auto_field = "django.db.models.BigAutoField"
