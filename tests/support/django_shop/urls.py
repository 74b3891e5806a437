"""The project's pages."""

from django.contrib import admin
from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path

from tests.support.django_shop.models import Product


def add(request: HttpRequest) -> HttpResponse:
    """A form of the shop's own."""
    page = Template("{{ form.media }}<form method=post>{% csrf_token %}{{ form }}</form>")
    fields = modelform_factory(Product, fields=["name", "image"])
    form = fields(request.POST or None)
    if form.is_valid():
        return HttpResponse(form.save().image)
    return HttpResponse(page.render(RequestContext(request, {"form": form})))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("form/", add),
    path("claimcheck/", include("django_claimcheck.urls")),
]
