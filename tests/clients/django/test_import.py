"""`claimcheck_import`: every row is accounted for, and none is changed that should not be."""

import asyncio
import csv
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients.django.import_shop import (
    PROJECT,
    RULES,
    Shop,
    add_products,
    imported,
    opened,
    outcomes,
)
from tests.support.django_project import DjangoProject, django_project
from tests.support.stores import free_port


@pytest.fixture
async def shop(environ: dict[str, str], tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(environ | RULES, tmp_path) as shop:
        yield shop


async def test_columns_of_urls(shop: Shop) -> None:
    keys = [
        *("files/1.txt", "files/My Holiday.txt", "files/Straße.txt", "files/100% wool?.txt"),
        *("files/a+b.txt", "files/two words.txt", "files/two%20words.txt", "old/1.txt"),
        *("files/signed.txt", "files/short.txt", "files/late.txt"),
    ]
    await shop.put(*keys)
    path, virtual = shop.path_style, shop.virtual_style
    rows = {
        f"{path}files/1.txt": "imported",
        f"{virtual}files/1.txt": "imported",
        f"{path}files/My Holiday.txt": "imported",  # as django-s3direct keeps it
        f"{virtual}files/My+Holiday.txt": "imported",
        f"{virtual}{quote('files/Straße.txt', safe='')}": "imported",
        f"{path}files/100% wool?.txt": "imported",
        f"{path}files/a+b.txt": "imported",
        f"{path}files/signed.txt?X-Amz-Signature=ab&X-Amz-Expires=3600": "imported",
        f"{path.removeprefix('http://')}files/short.txt": "imported",  # without a scheme
        f"{path}files/two%20words.txt": "ambiguous",
        f"{path}old/1.txt": "refused",  # of another destination
        f"{path}files/dead.txt": "unknown",
        "https://example.com/my-bucket/files/1.txt": "unknown",
        "files/1.txt": "refused",
        "": "empty",
    }
    add_products(shop.project, *rows, None)
    shop.project.sql("UPDATE shop_product SET name = 'ann', made = '2020-01-02 03:04:05'")
    expected = [*rows.values(), "empty"]

    status, lines, error = await imported(
        shop.project,
        *("--export", "objects.csv", "--with", "owner=name", "--with", "created_at=made"),
    )
    assert status == 2, error
    assert Counter(outcomes(lines)) == {"listed": 13, "refused": 1, "empty": 2}
    assert "16 rows: 13 listed, 2 empty, 1 refused" in error
    assert "claimcheck adopt --list objects.csv" in error
    with (shop.project.folder / "objects.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert {(one["owner"], one["created_at"]) for one in listed} == {
        ("ann", "2020-01-02T03:04:05+00:00")
    }
    adopted = await shop.adopt("objects.csv")
    done = {one["key"] for one in adopted if one["outcome"] == "adopted"}
    assert done == {*keys} - {"files/late.txt"}

    status, lines, error = await imported(
        shop.project,
    )
    assert (status, "nothing was stored" in error) == (2, True)
    assert [line["pk"] for line in lines] == [*range(1, 17)]
    assert outcomes(lines) == expected, error
    assert shop.project.sql("SELECT count(*) FROM shop_product WHERE picture <> ''") == [(0,)]

    status, lines, error = await imported(shop.project, "--apply")
    assert (status, outcomes(lines)) == (2, expected), error
    of_then = {"created_before": "2021-01-01T00:00:00Z"}  # others may have files there, too
    listed_files = (await shop.client.get("/v1/files", params=of_then)).json()["items"]
    by_key = {file["key"]: file["id"] for file in listed_files}
    pictures = shop.project.sql("SELECT picture FROM shop_product ORDER BY id")
    assert [picture for (picture,) in pictures] == [
        *(by_key[f"files/{name}"] for name in ("1.txt", "1.txt", "My Holiday.txt")),
        *(by_key[f"files/{name}"] for name in ("My Holiday.txt", "Straße.txt", "100% wool?.txt")),
        *(by_key[f"files/{name}"] for name in ("a+b.txt", "signed.txt", "short.txt")),
        *[""] * 7,
    ]
    # What was refused for its destination is taken anyway, and the rest is left as it is.
    status, lines, error = await imported(shop.project, "--apply", "--anyway")
    again = [{"imported": "kept"}.get(outcome, outcome) for outcome in expected]
    again[10] = "imported"
    assert (status, outcomes(lines)) == (2, again), error


async def test_keys_records_urls_and_back(shop: Shop) -> None:
    await shop.put("files/manuals/ä b.txt", "files/1.txt", "files/2%.txt", "files/new.txt")
    shop.project.sql(
        "INSERT INTO shop_manual (document, file) VALUES (?, '')",
        *(("manuals/ä b.txt",), ("manuals/gone.txt",)),
    )
    one, two = f"{shop.virtual_style}files/1.txt", f"{shop.path_style}files/2%.txt"
    add_products(shop.project, one, two, one)
    base = ("--base", f"{shop.path_style}files/")
    of_manuals = {"field": "Manual.file", "column": "document"}
    of_records = {"field": "Product.in_record"}
    status, lines, error = await imported(shop.project, "--export", "urls.csv", **of_records)
    assert (status, outcomes(lines)) == (0, ["listed"] * 3), error
    await shop.adopt("urls.csv")
    adopted = await shop.adopted("--prefix", "files/")

    # Keys under a base, with the keys of what came since on the way back.
    status, lines, error = await imported(shop.project, "--apply", *base, **of_manuals)
    assert (status, outcomes(lines)) == (2, ["imported", "unknown"]), error
    new = next(line for line in adopted if line["key"] == "files/new.txt")
    shop.project.sql("UPDATE shop_manual SET file = ? WHERE id = 2", (new["file_id"],))
    status, lines, error = await imported(shop.project, "--back", "--apply", *base, **of_manuals)
    assert (status, outcomes(lines)) == (0, ["kept", "imported"]), error
    documents = shop.project.sql("SELECT document FROM shop_manual ORDER BY id")
    assert documents == [("manuals/ä b.txt",), ("new.txt",)]
    # Elsewhere than under the base, or too long, it is not put back; nor is what is no id.
    shop.project.sql("INSERT INTO shop_manual (document, file) VALUES ('', 'no id')")
    elsewhere = ("--base", f"{shop.path_style}old/")
    status, lines, _ = await imported(shop.project, "--back", *elsewhere, **of_manuals)
    assert outcomes(lines) == ["refused", "refused", "unknown"]
    status, lines, _ = await imported(shop.project, "--back", **of_manuals)
    assert "longer than the 60 characters" in lines[0]["reason"]

    # Files go into records too: also the second of two rows that have one, which adopt left out.
    await shop.client.delete("/v1/records/product/2/picture")
    status, lines, error = await imported(shop.project, "--apply", **of_records)
    assert (status, outcomes(lines)) == (0, ["imported"] * 3), error
    records = (await shop.client.get("/v1/records/product?ids=1,2,3")).json()["items"]
    assert [record["fields"]["picture"]["file_id"] for record in records] == [
        line["file_id"] for line in lines
    ]

    # URLs become the service's own: in another column, and in their own.
    for field, column in (("Product.kept", "image"), ("Product.kept", "kept")):
        status, lines, error = await imported(shop.project, "--apply", field=field, column=column)
        assert (status, set(outcomes(lines))) == (
            0,
            {"imported" if column == "image" else "kept"},
        ), error
        kept = shop.project.sql("SELECT kept FROM shop_product ORDER BY id")
        own = f"{shop.path_style}files/1.txt"
        assert kept == [(own,), (f"{shop.path_style}files/2%25.txt",), (own,)]
        shop.project.sql("UPDATE shop_product SET kept = ? WHERE id = 1", (own,))
    shop.project.sql("UPDATE shop_product SET kept = image WHERE id < 3")
    status, lines, error = await imported(
        shop.project, "--apply", field="Product.kept", column="kept"
    )
    assert (status, outcomes(lines)) == (0, ["imported", "imported", "kept"]), error
    assert shop.project.sql("SELECT kept FROM shop_product ORDER BY id") == kept


@asynccontextmanager
async def answering(port: int, project: DjangoProject) -> AsyncIterator[None]:
    """A service that knows every URL; somebody changes the second row before it says so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        [length] = [
            int(line[15:]) for line in head.splitlines() if line.startswith("content-length")
        ]
        urls = json.loads(await reader.readexactly(length))["urls"]
        project.sql("UPDATE shop_product SET image = 'https://example.com/new' WHERE id = 2")
        items = [{"id": f"id{url[-1]}", "url": url, "destination": "files"} for url in urls]
        body = json.dumps({"items": items}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n")
        writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_a_row_that_is_changed_meanwhile_is_left(tmp_path: Path) -> None:
    port = free_port()
    named = {"CLAIMCHECK_URL": f"http://127.0.0.1:{port}", "CLAIMCHECK_KEY": "key"}
    project = await django_project(tmp_path / "p", named, **PROJECT)
    add_products(project, "https://example.com/1", "https://example.com/2")
    async with answering(port, project):
        status, lines, error = await imported(project, "--apply")
        assert (status, outcomes(lines)) == (2, ["imported", "changed"]), error
        assert project.sql("SELECT picture FROM shop_product ORDER BY id") == [("id1",), ("",)]
    wrong = [
        (["shop.Product.image"], "is no ClaimcheckField"),
        (["shop.Product.nothing"], "no such field"),
        (["shop.Nothing.picture"], "no such field"),
        (["shop"], "as in shop.Product.picture"),
        (["shop.Product.picture", "--from", "nothing"], "no such field"),
        (["shop.Product.kept", "--from", "kept", "--back"], "another field"),
        (["shop.Product.kept", "--back", "--export", "a.csv"], "leave one out"),
        (["shop.Product.kept", "--export", "a.csv", "--with", "price=name"], "--with"),
        (["shop.Product.kept", "--with", "owner=name"], "--with"),
        (["shop.Product.kept", "--export", "a.csv", "--with", "owner=nothing"], "nothing"),
    ]
    status, out, error = await project.run("-c", TOLD, json.dumps([each for each, _ in wrong]))
    assert status == 0, error
    for (arguments, said), told in zip(wrong, out.splitlines(), strict=True):
        assert said in told, arguments


TOLD = """
import json, sys
import django
from django.core.management import CommandError, call_command

django.setup()
for arguments in json.loads(sys.argv[1]):
    try:
        call_command("claimcheck_import", arguments[0], "--from", "image", *arguments[1:])
    except CommandError as error:
        print(error)
"""
