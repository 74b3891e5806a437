"""`path("claimcheck/", include("django_claimcheck.urls"))`: where pages ask for upload sessions."""

from django.urls import path

from django_claimcheck.views import session

app_name = "claimcheck"
urlpatterns = [path("session/<str:app>/<str:model>/<str:field>/", session, name="session")]
