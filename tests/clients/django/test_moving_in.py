"""docs/moving-in/django-*.md: what they have compiles, and what is ours does what the pages say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.settings.model import load_settings
from tests.support.django_project import django_project
from tests.support.pages import blocks, shell
from tests.support.samples import PNG
from tests.support.service import key_for, owner_of_bucket, served

TUTORIAL, STORAGES = "moving-in/django-s3direct.md", "moving-in/django-storages.md"
SCOPES = ("sessions:mint", "uploads:write", "files:read", "files:all")


def files(page: str) -> dict[str, str]:
    """The files of the page's project as it is now."""
    found = (re.match(r"# (\w+\.py)\n", one) for one in blocks(page, "python"))
    return {match[1]: match.string for match in found if match}


def test_what_they_have_is_python() -> None:
    before = [
        one for page in (TUTORIAL, STORAGES) for one in blocks(page, "python") if "# before" in one
    ]
    assert len(before) == 5
    for one in before:
        compile(one, "before.py", "exec")
    # Two files of one second overwrite each other, and some have no name.
    module: dict[str, Any] = {}
    exec(files(TUTORIAL)["keys.py"], module)
    first, second, foreign = map(module["picture_key"], ("a.png", "A!.png", "日本.png"))
    assert re.fullmatch(r"media/products/\d\d-\d\d-\d{4}_\d\d-\d\d-\d\d--a\.png", first)
    assert first.rpartition("--")[2] == second.rpartition("--")[2]
    assert foreign.endswith("--.png")


SCRIPT = """
import json
import re

import django

django.setup()
import httpx
from claimcheck_client import Client as Uploads
from django.contrib.auth.models import User
from django.test import Client

PNG = bytes.fromhex(%r)
User.objects.create_superuser("ann", password="secret")
page = Client(raise_request_exception=False)
assert page.login(username="ann", password="secret")


def call(method, path, body=None):
    answer = page.generic(method, path, json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


# A page asks for a token, uploads, and sends the file's id.
status, session = call("POST", "/claimcheck/session/shop/product/picture/")
assert status == 200, session
with Uploads(session["endpoint"], session["token"], cache=None) as uploads:
    file = uploads.upload(PNG, session["destination"], filename="Holiday in Ünterföhring.png")
moment = r"\\d\\d-\\d\\d-\\d{4}_\\d\\d-\\d\\d-\\d\\d-\\d{6}"
assert re.fullmatch(f"media/products/{moment}--holiday-in-unterfohring.png", file["key"])
assert file["filename"] == "Holiday in Ünterföhring.png"
status, product = call("POST", "/products/", {"name": "Chair", "presigned_image": file["id"]})
assert status == 201, product
assert httpx.get(product["presigned_image"], timeout=60).content == PNG
unknown = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"
status, said = call("POST", "/products/", {"name": "No", "presigned_image": unknown})
assert status == 400, said

# A page that is as it was.
status, form = call("POST", "/upload-url/", {"filename": "Old page.png"})
assert status == 200, form
form, key = form["upload_url_dict"], form["object_key"]
url = f"{form['url'].rstrip('/')}/{key}"
status, said = call("POST", "/add-product/", {"name": "Too soon", "image": url})
assert status == 400, said
assert httpx.post(form["url"], data=form["fields"], files={"file": PNG}, timeout=60).is_success
status, product = call("POST", "/add-product/", {"name": "Table", "image": url})
assert status == 201, product

status, products = call("GET", "/products/")
for one in products:
    link = one["presigned_image"]
    print(one["name"], link and httpx.get(link, timeout=60).content == PNG)
"""
VIEWS = """
from rest_framework.routers import SimpleRouter
from shop.upload_url import add_product, upload_url
from shop.views import ProductViewSet

router = SimpleRouter()
router.register("products", ProductViewSet)
urlpatterns += [
    *router.urls,
    path("upload-url/", upload_url),
    path("add-product/", add_product),
]
"""


@pytest.mark.slow
async def test_the_tutorial_and_the_rows(environ: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "claimcheck.toml"
    toml = "\n".join(blocks(TUTORIAL, "toml"))
    manuals = '[destinations.manuals]\nkey_prefix = "media/manuals/"\n'
    config.write_text(f"{toml}allow_client_keys = true\n{manuals}")
    environ = environ | {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_CONFIG": str(config)}
    bucket, *rows, back = blocks(TUTORIAL, "bash")
    await shell(bucket, tmp_path, environ)
    settings = load_settings(environ)
    pictures = settings.destinations["pictures"]
    name = pictures.bucket
    async with owner_of_bucket(settings) as s3:
        [rule, *_] = (await s3.get_bucket_cors(Bucket=name))["CORSRules"]
        assert rule["AllowedOrigins"] == ["https://www.example.com"]
        assert "DELETE" not in rule["AllowedMethods"]
        assert (await s3.get_bucket_versioning(Bucket=name))["Status"] == "Enabled"
        for key in ("products/old.png", "products/as it was.png", "manuals/chair.txt"):
            await s3.put_object(Bucket=name, Key=f"media/{key}", Body=PNG, ContentType="image/png")
    tutorial, storages = files(TUTORIAL), files(STORAGES)
    async with served(environ, tmp_path / "log") as service:
        header = await key_for(settings, *SCOPES, owner="shop")
        service.client.headers.update(header)
        named = {
            "CLAIMCHECK_URL": str(service.client.base_url).rstrip("/"),
            "CLAIMCHECK_KEY": header["Authorization"].removeprefix("Bearer "),
        }
        project = await django_project(
            tmp_path / "project",
            named,
            models=tutorial["models.py"] + storages["models.py"],
            settings=f"INSTALLED_APPS += ['rest_framework']\n{tutorial['settings.py']}",
            urls=tutorial["urls.py"],
        )
        for one in ("keys.py", "serializers.py", "views.py", "upload_url.py"):
            (project.folder / "shop" / one).write_text(tutorial[one])
        urls = project.folder / "urls.py"
        urls.write_text(urls.read_text() + VIEWS)

        # The rows come along.
        base = f"{pictures.stored_endpoint}/{name}/"
        project.sql(
            "INSERT INTO shop_product (name, image, picture) VALUES (?, ?, '')",
            ("Old", f"{base}media/products/old.png"),
            ("As it was", f"{base}media/products/as it was.png"),
            ("None", ""),
        )
        project.sql("INSERT INTO shop_manual (document, file) VALUES ('manuals/chair.txt', '')")
        inside = environ | named | {"DJANGO_SETTINGS_MODULE": "settings"}
        await shell(rows[0], project.folder, inside)
        imported = (project.folder / "imported.ndjson").read_text().splitlines()
        assert [json.loads(one)["outcome"] for one in imported] == ["imported"] * 2 + ["empty"]
        *keys, keys_back = blocks(STORAGES, "bash")
        of_aws = "https://s3.eu-central-1.amazonaws.com/my-bucket/"
        await shell("".join(keys).replace(of_aws, base), project.folder, inside)
        [(manual,)] = project.sql("SELECT file FROM shop_manual")
        assert (await service.client.get(f"/v1/files/{manual}")).json()["size"] == len(PNG)

        status, out, error = await project.run("-c", SCRIPT % PNG.hex())
        assert status == 0, error + (tmp_path / "log").read_text()
        assert out.splitlines() == [
            *("Old True", "As it was True", "None None", "Chair True", "Table True"),
        ]

        # And back again: what came since has a URL, and a key.
        await shell(back, project.folder, inside)
        images = [image for (image,) in project.sql("SELECT image FROM shop_product ORDER BY id")]
        assert images[:3] == [*(f"{base}media/products/{n}.png" for n in ("old", "as it was")), ""]
        assert all(image.startswith(f"{base}media/products/") for image in images[3:])
        await shell(f"BASE={base}media/\n{keys_back}", project.folder, inside)
        assert project.sql("SELECT document FROM shop_manual") == [("manuals/chair.txt",)]
