"""A Django project and its one application, a shop, for tests of django-claimcheck."""
