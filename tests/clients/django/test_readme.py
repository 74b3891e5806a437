"""The README's project, put together and used."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from claimcheck_client import Client

from tests.clients.django.place import PNG, Place

CLIENTS = Path(__file__).parents[3] / "clients"
# What `django-admin startproject` makes, but for comments.
SETTINGS = """
from tests.support.django_shop.settings import *
INSTALLED_APPS = [*INSTALLED_APPS[:-2], "shop"]
MIDDLEWARE = MIDDLEWARE[:-1]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
URLS = """
from django.contrib import admin
from django.urls import path
from shop import api, views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("products/", views.products),
    path("upload-session/", api.UploadSession.as_view()),
]
"""
USE = """
import json
import sys
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import Client, override_settings
from shop.forms import ProductForm
from shop.imports import add
from shop.models import Product
from shop.serializers import ProductSerializer

call_command("check", deploy=True, tags=["claimcheck"])
call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)
ann = User.objects.create_superuser("ann")
browser = Client()
browser.force_login(ann)
print(browser.post("/upload-session/").content.decode(), flush=True)
file_id = input()
product = add(ann, "Boat", file_id)
page = browser.get("/products/").content.decode()
print(json.dumps({
    "page": page,
    "form": render_to_string("product_form.html", {"form": ProductForm(instance=product)}),
    "admin": browser.get(f"/admin/shop/product/{product.pk}/change/").content.decode(),
    "api": ProductSerializer(Product.objects.all(), many=True).data,
}))
session = "/claimcheck/session/shop/product/image/"
bob = User.objects.create_user("bob")
browser.force_login(bob)
assert browser.post(session).status_code == 403
from django.conf import settings
with override_settings(CLAIMCHECK=settings.CLAIMCHECK | {"MAY_UPLOAD": "shop.rules.members_too"}):
    assert browser.post(session).status_code == 200
"""


def blocks() -> dict[str, str]:
    """The README's files by name."""
    text = (CLIENTS / "django" / "README.md").read_text()
    found = re.findall(r"```\w+\n(?:# |<!-- )(\w+\.\w+)(?: -->)?\n(.*?)```", text, re.DOTALL)
    return dict(found)


def test_the_readme(shop: Place, tmp_path: Path) -> None:
    files = blocks()
    assert len(files) == 12
    (tmp_path / "templates").mkdir()
    app = tmp_path / "shop"
    (app / "templates").mkdir(parents=True)
    (app / "migrations").mkdir()
    for package in (app, app / "migrations"):
        (package / "__init__.py").touch()
    for name, content in files.items():
        folder = app / "templates" if name.endswith("html") else app
        before = {"settings.py": SETTINGS, "urls.py": URLS}.get(name, "")
        (folder / name).write_text(before + content)
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "CLAIMCHECK_URL": shop.url,
        "CLAIMCHECK_KEY": shop.key,
        "PYTHONPATH": os.pathsep.join(
            map(str, (tmp_path, CLIENTS / "django/src", CLIENTS / "python/src", CLIENTS.parent))
        ),
    }
    with subprocess.Popen(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        session = json.loads(next(line for line in lines if line.startswith("{")))
        with Client(session["endpoint"], session["token"], cache=None) as client:
            file = client.upload(PNG, session["destination"], filename="Holiday.png")
        said, _ = process.communicate(f"{file['id']}\n", timeout=120)
    assert process.returncode == 0
    shown = json.loads(said)
    assert "X-Amz-Signature" in shown["page"]
    for page in ("form", "admin"):
        assert f'value="{file["id"]}" data-filename="Holiday.png"' in shown[page]
        assert 'accept="image/*"' in shown[page]
        assert "/static/upload-field.js" in shown[page]
    [product] = shown["api"]
    assert (product["name"], product["image"]) == ("Boat", file["id"])
    assert "X-Amz-Signature" in product["presigned_image"]
