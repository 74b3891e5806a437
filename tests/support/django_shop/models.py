"""Products with files of every kind."""

from django.db import models
from django_claimcheck.fields import ClaimcheckField


class Product(models.Model):
    """A product."""

    name = models.CharField(max_length=100)
    image = ClaimcheckField(dest="images", blank=True)
    # As the tutorial keeps it.
    manual = ClaimcheckField(dest="manuals", store="url", blank=True, null=True)

    def __str__(self) -> str:
        return self.name


class Photo(models.Model):
    """One of a product's further pictures; its file goes with it."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="photos")
    image = ClaimcheckField(
        "picture", dest="images", on_delete="remove", accept="image/png,.jpg", max_size=5_000_000
    )


class Still(Photo):
    """A photo in a table of its own."""


class Featured(Photo):
    """A photo in the same table."""

    class Meta:
        proxy = True


class Clip(models.Model):
    """A film, which a record of the service holds too."""

    film = ClaimcheckField(dest="films", attach=("clip", "film"), on_delete="release", blank=True)


class Report(models.Model):
    """A paper, which a scanner looks at."""

    paper = ClaimcheckField(dest="scanned")
