"""The project's pages."""

from django.contrib import admin
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path

from tests.support.django_shop.models import Product


def form(request: HttpRequest) -> HttpResponse:
    """A form of the shop's own."""
    page = Template("{{ form.media }}<form method=post>{% csrf_token %}{{ form }}</form>")
    fields = modelform_factory(Product, fields=["name", "image"])
    return HttpResponse(page.render(RequestContext(request, {"form": fields()})))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("form/", form),
    path("claimcheck/", include("django_claimcheck.urls")),
]
