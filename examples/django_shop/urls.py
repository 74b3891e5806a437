from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter
from shop.api import ProductViewSet
from shop.views import product, products

router = DefaultRouter()
router.register("products", ProductViewSet)

urlpatterns = [
    path("", products, name="products"),
    path("products/<int:pk>/", product, name="product"),
    path("api/", include(router.urls)),
    path("admin/", admin.site.urls),
    path("claimcheck/", include("django_claimcheck.urls")),
]
