"""The project's pages."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("claimcheck/", include("django_claimcheck.urls")),
]
