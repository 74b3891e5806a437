"""docs/moving-in/: its commands, SQL and programs, run as they stand, but for addresses."""

import asyncio
import csv
import json
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
import pytest

from app.core.destination import Destination
from app.settings.model import Settings
from tests.support.pages import block, blocks, shell
from tests.support.service import Service, key_for, own_database, owner_of_bucket, prepared, served
from tests.support.stores import free_port

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "moving-in"
OF_AWS = "https://s3.eu-central-1.amazonaws.com/my-bucket/"


def said(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def base_of(destination: Destination) -> str:
    return f"{destination.stored_endpoint}/{destination.bucket}/"


async def made_by(schema: str, url: str) -> str:
    """The address of a database of somebody else's, on the same server."""
    theirs = await own_database(url)
    db = await asyncpg.connect(theirs)
    await db.execute(schema)
    await db.close()
    return theirs


@pytest.fixture
async def keyed(environ: dict[str, str], tmp_path: Path, request: Any) -> dict[str, str]:
    """The environment of a service with keys, and the destinations that the test names."""
    config = tmp_path / "claimcheck.toml"
    config.write_text(request.param, encoding="utf-8")
    return environ | {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_CONFIG": str(config)}


async def put(settings: Settings, *keys: str) -> None:
    destination = next(iter(settings.destinations.values()))
    async with owner_of_bucket(settings) as s3:
        for key in keys:
            await s3.put_object(
                Bucket=destination.bucket, Key=key, Body=key.encode(), ContentType="text/plain"
            )


@asynccontextmanager
async def service_with_key(
    environ: dict[str, str], settings: Settings, folder: Path, *scopes: str
) -> AsyncIterator[tuple[Service, dict[str, str]]]:
    async with served(environ, folder / "log") as service:
        header = await key_for(settings, *scopes, owner="shop")
        service.client.headers.update(header)
        url = str(service.client.base_url).rstrip("/")
        key = header["Authorization"].removeprefix("Bearer ")
        yield service, {"CLAIMCHECK_URL": url, "CLAIMCHECK_KEY": key, "API": url, "KEY": key}


RAILS = """
CREATE TABLE active_storage_blobs (
  id bigint, key text, filename text, service_name text, created_at timestamp(6)
);
CREATE TABLE active_storage_attachments (
  id bigint, name text, record_type text, record_id bigint, blob_id bigint
);
INSERT INTO active_storage_blobs VALUES
  (1, 'a1', 'Stuhl, grün.txt', 'amazon', '2020-01-02 03:04:05.678901'),
  (2, 'b2', 'one.txt', 'amazon', '2020-01-03'), (3, 'c3', 'two.txt', 'amazon', '2020-01-04'),
  (4, 'd4', 'small.txt', 'amazon', '2020-01-05'), (5, 'e5', 'here.txt', 'local', '2020-01-06'),
  (6, 'f6', 'gone.txt', 'amazon', '2020-01-07');
INSERT INTO active_storage_attachments VALUES
  (1, 'picture', 'Product', 42, 1), (2, 'gallery', 'Product', 42, 2),
  (3, 'gallery', 'Product', 42, 3), (4, 'image', 'ActiveStorage::VariantRecord', 7, 4),
  (5, 'picture', 'Product', 43, 5), (6, 'picture', 'Product', 44, 6);
"""


@pytest.mark.parametrize(
    "keyed", blocks("moving-in/active-storage.md", "toml"), indirect=True, ids=["active-storage"]
)
@pytest.mark.slow
async def test_active_storage(keyed: dict[str, str], tmp_path: Path) -> None:
    settings = await prepared(keyed)
    await put(settings, "a1", "b2", "c3", "d4")
    base = base_of(settings.destinations["blobs"])
    sql = block("moving-in/active-storage.md", "sql", "COPY").replace(OF_AWS, base)
    (tmp_path / "blobs.sql").write_text(sql)
    adopt, session, read = blocks("moving-in/active-storage.md", "bash")
    theirs = await made_by(RAILS, keyed["DATABASE_URL"])
    # One object is gone, which adopt's status tells.
    script = f"{adopt.rstrip()} || [ $? = 2 ]"
    await shell(script, tmp_path, keyed | {"RAILS_DATABASE_URL": theirs})
    outcomes = [(one["key"], one["outcome"]) for one in said(tmp_path / "adopted.ndjson")]
    assert outcomes == [*((key, "adopted") for key in ("a1", "b2", "c3")), ("f6", "absent")]
    scopes = ("records:read", "records:write", "sessions:mint", "uploads:write", "files:read")
    async with service_with_key(keyed, settings, tmp_path, *scopes) as (service, named):
        made = json.loads(await shell(session, tmp_path, named))
        assert made["attach_to"] == {"type": "product", "id": "42", "field": "picture"}
        records = json.loads(await shell(read, tmp_path, named))
        [record] = records["items"]
        assert record["fields"]["picture"]["filename"] == "Stuhl, grün.txt"
        assert [one["filename"] for one in record["fields"]["gallery"]] == ["one.txt", "two.txt"]
        file = await service.client.get(f"/v1/files/{record['fields']['picture']['file_id']}")
        assert file.json()["created_at"].startswith("2020-01-02T03:04:05")


COMPANIONS = """
CREATE TABLE uploads (upload_url text, user_name text, file_name text, created_at timestamptz)
"""
UUID = "0b2a3a46-34d1-4d0a-9a2e-4d0f4a5a7c11"


@pytest.mark.parametrize(
    "keyed", ['[destinations.files]\nkey_prefix = ""'], indirect=True, ids=["companion"]
)
@pytest.mark.slow
async def test_companion(keyed: dict[str, str], tmp_path: Path) -> None:
    settings = await prepared(keyed)
    keys = [f"{UUID}-Holiday 1.txt", f"uploads/{UUID}-b.txt"]
    await put(settings, *keys)
    destination = settings.destinations["files"]
    host = urlsplit(destination.stored_endpoint).netloc
    (tmp_path / "uploads.sql").write_text(block("moving-in/uppy-companion.md", "sql", "COPY"))
    theirs = await made_by(COMPANIONS, keyed["DATABASE_URL"])
    db = await asyncpg.connect(theirs)
    for key, url in (
        (keys[0], f"{base_of(destination)}{quote(keys[0])}"),
        # As S3 escapes what it answers a form with.
        (keys[1], f"http://{destination.bucket}.{host}/{quote(keys[1], safe='')}"),
    ):
        name = key.rpartition("/")[2]
        await db.execute("INSERT INTO uploads VALUES ($1, 'ann', $2, now())", url, name)
    await db.close()
    script = block("moving-in/uppy-companion.md", "bash", "psql")
    await shell(script, tmp_path, keyed | {"SHOP_DATABASE_URL": theirs})
    assert {(one["key"], one["outcome"]) for one in said(tmp_path / "adopted.ndjson")} == {
        (key, "adopted") for key in keys
    }
    db = await asyncpg.connect(keyed["DATABASE_URL"])
    names = dict(await db.fetch("SELECT filename, owner FROM files"))
    await db.close()
    assert names == {"Holiday 1.txt": "ann", "b.txt": "ann"}


@pytest.mark.parametrize(
    "keyed", ["[destinations.uploads]\nmax_size = 1000"], indirect=True, ids=["presign"]
)
@pytest.mark.slow
async def test_a_presign_endpoint(
    keyed: dict[str, str], web: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await prepared(keyed)
    await put(settings, "uploads/1.txt")
    base = base_of(settings.destinations["uploads"])
    sql = block("moving-in/presign-endpoint.md", "sql", "COPY").replace(OF_AWS, base)
    (tmp_path / "uploads.sql").write_text(sql)
    schema = """
        CREATE TABLE uploads (key text, owner text, created_at timestamptz);
        INSERT INTO uploads VALUES ('uploads/1.txt', 'ann', '2020-01-02T00:00Z')
    """
    theirs = await made_by(schema, keyed["DATABASE_URL"])
    script = block("moving-in/presign-endpoint.md", "bash", "psql")
    await shell(script, tmp_path, keyed | {"SHOP_DATABASE_URL": theirs})
    assert [one["outcome"] for one in said(tmp_path / "adopted.ndjson")] == ["adopted"]
    scopes = ("uploads:write", "files:read")
    async with service_with_key(keyed, settings, tmp_path, *scopes) as (service, named):
        for name in ("CLAIMCHECK_URL", "CLAIMCHECK_KEY"):
            monkeypatch.setenv(name, named[name])
        module: dict[str, Any] = {"__name__": "main"}
        # Where annotations are looked for.
        monkeypatch.setitem(sys.modules, "main", sys.modules[__name__])
        exec(block("moving-in/presign-endpoint.md", "python", "# now"), module)
        transport = httpx.ASGITransport(module["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as page:
            wanted = {"filename": "Holiday.txt", "size": 5}
            form = (await page.post("/presign", json=wanted)).json()
            sent = await web.post(form["url"], data=form["fields"], files={"file": b"hello"})
            assert sent.is_success, sent.text
            file = (await page.post(f"/uploads/{form['id']}/done")).json()
            assert (await web.get(file["link"])).content == b"hello"
            refused = await page.post("/presign", json=wanted | {"size": 5000})
            assert refused.status_code == 422
            assert "more than the 0.977 KiB" in refused.json()["detail"]
        module["claimcheck"].close()
        old = await service.client.post(
            "/v1/files/presign", json={"urls": [f"{base}uploads/1.txt"]}
        )
        # That of somebody else, whom the list names.
        assert "problem" in old.json()["items"][0]


class UploadThing:
    """Its list of files, two a page, and the files: as much of it as the program asks for."""

    def __init__(self) -> None:
        self.files = {f"key{n}": f"content {n}".encode() for n in range(3)}
        self.read: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        method, path, *_ = head.split()
        if method == "post":
            assert "x-uploadthing-api-key: secret" in head
            assert path == "/v6/listfiles"
            length = int(re.findall(r"content-length: (\d+)", head)[0])
            offset = json.loads(await reader.readexactly(length))["offset"]
            files = [
                {"key": key, "name": f"{key}.txt", "status": status}
                for key, status in [*((key, "Uploaded") for key in self.files), ("bad", "Failed")]
            ]
            page = {"files": files[offset : offset + 2], "hasMore": offset + 2 < len(files)}
            body = json.dumps(page).encode()
        else:
            key = path.rpartition("/")[2]
            self.read.append(key)
            body = self.files[key]
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n")
        writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@pytest.mark.parametrize("keyed", ["[destinations.files]"], indirect=True, ids=["uploadthing"])
@pytest.mark.slow
async def test_uploadthing(keyed: dict[str, str], web: httpx.AsyncClient, tmp_path: Path) -> None:
    settings = await prepared(keyed)
    (tmp_path / "move.py").write_text(block("moving-in/uploadthing.md", "python", "# move.py"))
    source, port = UploadThing(), free_port()
    scopes = ("uploads:write", "files:read")
    async with (
        await asyncio.start_server(source.answer, "127.0.0.1", port),
        service_with_key(keyed, settings, tmp_path, *scopes) as (service, named),
    ):
        address = f"http://127.0.0.1:{port}"
        theirs = {"UPLOADTHING_API": address, "UPLOADTHING_FILES": f"{address}/f"}
        environ = named | theirs | {"UPLOADTHING_SECRET": "secret"}
        [command] = blocks("moving-in/uploadthing.md", "bash")
        command = re.sub(r"UPLOADTHING_\w+=\S+( id>\S*)? ", "", command)
        command = command.replace("python move.py", f"'{sys.executable}' move.py")
        for _ in range(2):
            await shell(command, tmp_path, environ)
            with (tmp_path / "moved.csv").open(newline="") as file:
                moved = list(csv.DictReader(file))
            assert [one["key"] for one in moved] == list(source.files)
        for one in moved:
            file_ = (await service.client.get(f"/v1/files/{one['file_id']}")).json()
            assert (await web.get(file_["presigned_url"])).content == source.files[one["key"]]
            assert file_["filename"] == f"{one['key']}.txt"
        # The second time nothing was copied.
        assert source.read == list(source.files)


def test_all_settings_of_the_pages_are_toml() -> None:
    found = [one for page in PAGES.glob("*.md") for one in blocks(f"moving-in/{page.name}", "toml")]
    assert len(found) >= 2
    for one in found:
        tomllib.loads(one)
