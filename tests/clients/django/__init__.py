"""Tests of clients/django, with Django set up for a shop in this process."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.django_shop.settings"
django.setup()
