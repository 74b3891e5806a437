"""Products. Their pictures and films lie in a private bucket; a product keeps their ids."""

from django.core.validators import MinValueValidator
from django.db import models
from django_claimcheck.fields import ClaimcheckField


class Product(models.Model):
    name = models.CharField(max_length=200)
    price = models.DecimalField(
        max_digits=8, decimal_places=2, validators=[MinValueValidator(0)], help_text="In euros."
    )
    image = ClaimcheckField(dest="images", blank=True, accept="image/*")
    video = ClaimcheckField(dest="videos", blank=True, accept="video/*")

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name
