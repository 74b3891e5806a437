"""Tests of clients/django, with Django set up for its project in this process."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = f"{__name__}.project.settings"
django.setup()
