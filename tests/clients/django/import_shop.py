"""A shop whose columns are imported: its project, service and bucket."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.settings.model import Settings
from tests.support.django_project import DjangoProject, django_project
from tests.support.service import as_set, key_for, owner_of_bucket, prepared, served

MODELS = """
from django.db import models
from django_claimcheck.fields import ClaimcheckField


class Product(models.Model):
    name = models.CharField(max_length=100)
    made = models.DateTimeField(null=True)
    image = models.TextField(blank=True, null=True)
    picture = ClaimcheckField(dest="files", blank=True)
    kept = ClaimcheckField(dest="files", store="url", blank=True, null=True)
    in_record = ClaimcheckField(dest="files", attach=("product", "picture"), blank=True)


class Manual(models.Model):
    document = models.FileField(upload_to="manuals/", max_length=60, blank=True)
    file = ClaimcheckField(dest="files", blank=True)
"""
SETTINGS = """
INSTALLED_APPS += ["django_claimcheck"]
MIDDLEWARE += ["django_claimcheck.users.claimcheck_middleware"]
CLAIMCHECK = {"URL": os.environ["CLAIMCHECK_URL"], "KEY": os.environ["CLAIMCHECK_KEY"]}
"""
URLS = 'urlpatterns += [path("claimcheck/", include("django_claimcheck.urls"))]'
PROJECT = {"models": MODELS, "settings": SETTINGS, "urls": URLS}
COMMAND = ("manage.py", "claimcheck_import")
RULES = {
    "CLAIMCHECK_AUTH": "keys",
    "CLAIMCHECK_DESTINATIONS": json.dumps({"files": {}, "old": {}}),
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
}


@dataclass(frozen=True)
class Shop:
    """The project, and the service with its settings and their environment."""

    project: DjangoProject
    environ: dict[str, str]
    settings: Settings
    client: httpx.AsyncClient

    @property
    def bucket(self) -> str:
        return self.settings.destinations["files"].bucket

    @property
    def path_style(self) -> str:
        return f"{self.settings.destinations['files'].stored_endpoint}/{self.bucket}/"

    @property
    def virtual_style(self) -> str:
        return f"http://{self.bucket}.{urlsplit(self.path_style).netloc}/"

    async def put(self, *keys: str) -> None:
        async with owner_of_bucket(self.settings) as s3:
            gate = asyncio.Semaphore(16)

            async def one(key: str) -> None:
                async with gate:
                    await s3.put_object(
                        Bucket=self.bucket, Key=key, Body=b"x", ContentType="text/plain"
                    )

            await asyncio.gather(*map(one, keys))

    async def adopt(self, listing: str) -> list[dict[str, Any]]:
        """The report of `claimcheck adopt` on a list that was exported."""
        return await self.adopted("--list", str(self.project.folder / listing))

    async def adopted(self, *arguments: str) -> list[dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "adopt", "--owner", "shop", "--apply"),
            *arguments,
            env=as_set(self.environ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert process.returncode in (0, 2), error
        return [json.loads(line) for line in out.splitlines()]


@asynccontextmanager
async def opened(environ: dict[str, str], folder: Path) -> AsyncIterator[Shop]:
    settings = await prepared(environ)
    async with served(environ, folder / "log") as service:
        scopes = ("files:read", "files:all", "records:read", "records:write")
        header = await key_for(settings, *scopes, owner="django")
        named = {
            "CLAIMCHECK_URL": str(service.client.base_url).rstrip("/"),
            "CLAIMCHECK_KEY": header["Authorization"].removeprefix("Bearer "),
        }
        project = await django_project(folder / "p", named, **PROJECT)
        service.client.headers.update(header)
        yield Shop(project, environ, settings, service.client)


def add_products(project: DjangoProject, *images: str | None) -> None:
    """A row for each, whose keys count from 1."""
    project.sql(
        "INSERT INTO shop_product (name, image, picture, in_record) VALUES ('', ?, '', '')",
        *((image,) for image in images),
    )


async def imported(
    project: DjangoProject, *arguments: str, field: str = "Product.picture", column: str = "image"
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, the report, and what is on standard error."""
    status, out, error = await project.run(*COMMAND, f"shop.{field}", "--from", column, *arguments)
    return status, [json.loads(line) for line in out.splitlines()], error


def outcomes(lines: list[dict[str, Any]]) -> list[str]:
    return [line["outcome"] for line in lines]
