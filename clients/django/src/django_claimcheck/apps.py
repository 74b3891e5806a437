"""The Django application."""

from django.apps import AppConfig, apps
from django.core import checks


class ClaimcheckConfig(AppConfig):
    name = "django_claimcheck"
    verbose_name = "Claimcheck"

    def ready(self) -> None:
        """Connect what needs all models."""
        from django_claimcheck import removal
        from django_claimcheck.checks import TAG, check_service, check_settings

        checks.register(check_settings, TAG)
        checks.register(check_service, TAG, deploy=True)
        removal.connect()
        if apps.is_installed("rest_framework"):
            from django_claimcheck import rest

            rest.connect()
