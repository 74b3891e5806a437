"""The Python of docs/records.md, run as it stands."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.routers.records import RecordBody, RecordFile
from app.settings.model import Settings, load_settings
from tests.support.service import prepared, served
from tests.support.steps import announced, confirm_all

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/records.md"
RECORDS = {
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PRODUCT__GALLERY": '{"destination": "images", "many": true}',
}


def block(document: str, containing: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    [found] = [b for b in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL) if containing in b]
    return str(found)


def test_a_record_reads_as_the_page_shows() -> None:
    [shown] = [
        json.loads(b)
        for b in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if '"etag"' in b
    ]
    record = RecordBody.model_validate(shown)
    # It is there only where nobody knows when the credentials end.
    assert {*shown["fields"]["picture"]} == {*RecordFile.model_fields} - {"may_end_sooner"}
    assert record.fields["gallery"] == []


DJANGO = """
import os
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    CLAIMCHECK_URL=os.environ["CLAIMCHECK_URL"],
    CLAIMCHECK_KEY=os.environ["CLAIMCHECK_KEY"],
)
django.setup()
from django.db import connection
from shop.models import Product

with connection.schema_editor() as editor:
    editor.create_model(Product)
for name in ("chair", "table"):
    Product.objects.create(name=name)
for product in Product.objects.order_by("id"):
    print(product.presigned_image)
"""
SQLALCHEMY = """
import json
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from models import Base, Product
from pictures import presigned_images

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Product(name="chair"), Product(name="table")])
    session.commit()
    products = list(session.scalars(select(Product).order_by(Product.id)))
    for product in products:
        print(product.presigned_image)
    print(json.dumps(presigned_images(products)))
engine.dispose()
"""


@pytest.mark.usefixtures("same_links")
@pytest.mark.parametrize("kind", ["django", "sqlalchemy"])
async def test_a_model_has_its_picture(
    environ: dict[str, str], database_url: str, tmp_path: Path, kind: str
) -> None:
    if kind == "django":
        shop = tmp_path / "shop"
        shop.mkdir()
        (shop / "__init__.py").touch()
        (shop / "models.py").write_text(block("docs/records.md", "models.Model"))
        script = DJANGO
    else:
        for name, containing in (
            ("models.py", "DeclarativeBase"),
            ("pictures.py", "def presigned_images"),
        ):
            (tmp_path / name).write_text(block("docs/records.md", containing))
        script = SQLALCHEMY
    await prepared(environ | RECORDS)
    async with served(environ | RECORDS, tmp_path / "log") as service:
        upload = await announced(service.client, b"x", "a.png", destination="images")
        await confirm_all(database_url)
        path = "/v1/records/product/1/picture"
        put = await service.client.put(path, json={"file_id": upload["id"]})
        assert put.status_code == 200, put.text
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "error", "-c", script],
            cwd=tmp_path,
            env=os.environ
            | {"CLAIMCHECK_URL": str(service.client.base_url), "CLAIMCHECK_KEY": "unused"},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    assert run.returncode == 0, run.stderr
    link, *others = run.stdout.splitlines()
    assert link == put.json()["fields"]["picture"]["presigned_url"]
    assert others[0] == "None"
    assert others[1:] == ([] if kind == "django" else [f'{{"1": "{link}"}}'])


def test_the_declared_records_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "claimcheck.toml"
    path.write_text(block("docs/records.md", "[records.product.picture]"))
    settings: Settings = load_settings({"CLAIMCHECK_CONFIG": str(path)})
    assert settings.records["product"]["gallery"].capacity == 50
