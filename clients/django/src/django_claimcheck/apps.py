"""The Django application."""

from django.apps import AppConfig


class ClaimcheckConfig(AppConfig):
    name = "django_claimcheck"
    verbose_name = "Claimcheck"

    def ready(self) -> None:
        """Connect what needs all models."""
