"""Names that lie harmlessly: the file gets its true type, and links serve that."""

import asyncpg
import httpx
import pytest

from tests.support.samples import (
    DOCX,
    DOCX_TYPE,
    JPEG,
    PDF,
    PNG,
    SVG,
    WAV,
    WEBM,
    WEBP,
    ftyp,
    zipped,
)
from tests.support.service import prepared, running
from tests.support.steps import announced, rejected, send, setting, stored

WEBP_JPG = {"filename": "a.jpg", "content_type": "image/jpeg"}


async def test_a_name_that_lies_harmlessly_is_corrected(
    environ: dict[str, str], web: httpx.AsyncClient, database_url: str
) -> None:
    async with running(await prepared(environ)) as client:
        file = await stored(client, web, WEBP, destination="images", **WEBP_JPG)
        assert (file["content_type"], file["announced_type"]) == ("image/webp", "image/jpeg")
        assert file["detected_type"] == "image/webp"
        assert (await client.get(f"/v1/files/{file['id']}")).json()["content_type"] == "image/webp"
        [listed] = (await client.get("/v1/files?content_type=image/webp")).json()["items"]
        assert listed["announced_type"] == "image/jpeg"
        redirect = await client.get(f"/v1/files/{file['id']}/content")
        presigned = await client.post("/v1/files/presign", json={"ids": [file["id"]]})
        for link in (
            file["presigned_url"],
            redirect.headers["location"],
            presigned.json()["items"][0]["presigned_url"],
        ):
            assert (await web.get(link)).headers["content-type"] == "image/webp"
        # What is as it says has no second type, and its links say none.
        file = await stored(client, web, WEBP, "a.webp", destination="images")
        assert file["announced_type"] == file["content_type"] == "image/webp"
        assert "response-content-type" not in file["presigned_url"]
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT announced_type FROM files ORDER BY id")
    await connection.close()
    assert [row[0] for row in rows] == ["image/jpeg", None]


@pytest.mark.parametrize(
    ("announced_as", "data", "content_type"),
    [
        ("image/heic", JPEG, "image/jpeg"),
        ("image/x-icon", PNG, "image/png"),
        ("audio/mpeg", ftyp("M4A "), "audio/mp4"),
        ("audio/mpeg", WAV, "audio/wav"),
        ("audio/mpeg", b"\xff\xf1\x50\x80" + bytes(400), "audio/aac"),
        ("video/mp4", WEBM, "video/webm"),
        ("audio/x-m4a", WEBM, "video/webm"),
        ("application/vnd.rar", zipped("a"), "application/zip"),
        ("application/vnd.comicbook+zip", b"Rar!\x1a\7\1\0" + bytes(60), "application/vnd.rar"),
        ("application/msword", DOCX, DOCX_TYPE),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", DOCX, DOCX_TYPE),
        # These may be what they say.
        ("video/mp4", ftyp("qt  "), None),
        ("application/zip", DOCX, None),
        (f"{DOCX_TYPE[:-8]}template", DOCX, None),
        ("image/x-own", PNG, None),
        # And across kinds nothing is corrected.
        ("image/png", ftyp("isom"), "rejected"),
        ("video/mp4", JPEG, "rejected"),
        ("image/jpeg", PDF, "rejected"),
        ("application/zip", PNG, "rejected"),
        ("image/png", SVG, "rejected"),
    ],
)
async def test_what_is_corrected(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    announced_as: str,
    data: bytes,
    content_type: str | None,
) -> None:
    upload = await announced(client, data, "a.x", content_type=announced_as)
    await send(web, upload["upload"], data)
    answer = (await client.post(f"/v1/uploads/{upload['id']}/confirm")).json()
    if content_type == "rejected":
        assert (answer["state"], answer["content_type"]) == ("rejected", announced_as)
    else:
        assert answer["content_type"] == (content_type or announced_as)
        assert answer["announced_type"] == announced_as


async def test_a_mistaken_type_is_corrected_only_where_the_destination_takes_the_true_one(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    more = setting("strict", "mistaken_types", "reject")
    more |= setting("jpegs", "content_types", "image/jpeg")
    more |= setting("waves", "content_types", "audio/mpeg,audio/x-wav")
    async with running(await prepared(environ | more)) as client:
        for destination in ("strict", "jpegs"):
            problem = await rejected(client, web, WEBP, destination=destination, **WEBP_JPG)
            assert problem["detail"] == "The contents are image/webp; image/jpeg was announced."
        said = {"filename": "a.mp3", "content_type": "audio/mpeg", "destination": "waves"}
        assert (await stored(client, web, WAV, **said))["content_type"] == "audio/x-wav"
