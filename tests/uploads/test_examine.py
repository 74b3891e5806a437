"""Images are measured and archives judged at confirm, where their destination limits them."""

import threading
from typing import Any

import aiohttp
import httpx
import pytest
from yarl import URL

from app.core import ranges
from tests.support.archives import Entry, by_python, samples, zipped
from tests.support.images import exif, frames, written
from tests.support.samples import DOCX, EXE, NOISE, PDF, SVG
from tests.support.service import prepared, running
from tests.support.steps import announced, rejected, send, setting, stored

PIXELS = setting("pics", "max_pixels", "1000000")
LIMITS = setting("zips", "archives", '{"max_entries": 100}')
SIZE = (800, 600)


async def test_an_image_is_measured(environ: dict[str, str], web: httpx.AsyncClient) -> None:
    async with running(await prepared(environ | PIXELS)) as client:
        turned = written(SIZE, "JPEG", exif=exif(6))
        file = await stored(client, web, turned, "a.jpg", destination="pics")
        assert file["image"] == {"width": 800, "height": 600, "orientation": 6, "animated": False}
        assert file["archive"] is None
        moving = await stored(
            client, web, written((9, 7), "GIF", **frames((9, 7))), "a.gif", destination="pics"
        )
        assert moving["image"] == {"width": 9, "height": 7, "orientation": 1, "animated": True}
        # Wherever the file is shown.
        assert (await client.get(f"/v1/files/{file['id']}")).json()["image"] == file["image"]
        listed = (await client.get("/v1/files")).json()["items"]
        assert [one["image"] for one in listed] == [moving["image"], file["image"]]
        again = await client.post(f"/v1/uploads/{file['id']}/confirm")
        assert again.json()["image"] == file["image"]


async def test_nothing_is_read_where_no_destination_asks(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges.Reader, "run", None)
    async with running(await prepared(environ | PIXELS | LIMITS)) as client:
        for data, name in ((written(SIZE, "JPEG"), "a.jpg"), (by_python("a"), "a.zip")):
            file = await stored(
                client, web, data, name, destination="zips" if "j" in name else "pics"
            )
            assert (file["image"], file["archive"]) == (None, None)


async def test_an_image_of_too_many_pixels_is_refused(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    async with running(await prepared(environ | PIXELS)) as client:
        data = written((1001, 1000), "PNG")
        problem = await rejected(client, web, data, filename="a.png", destination="pics")
        assert problem["detail"] == (
            "The image has 1,001 x 1,000 pixels; destination pics takes at most 1,000,000."
        )
        assert problem["detected_type"] == "image/png"
        await stored(client, web, written((1000, 1000), "PNG"), "a.png", destination="pics")


async def test_the_events_tell_of_it(environ: dict[str, str], web: httpx.AsyncClient) -> None:
    async with running(await prepared(environ | PIXELS | LIMITS)) as client:
        assert (await client.get("/v1/events")).status_code == 200
        await stored(client, web, written(SIZE, "WEBP"), "a.webp", destination="pics")
        await stored(client, web, by_python("a", "b"), "a.zip", destination="zips")
        [picture, archive] = (await client.get("/v1/events")).json()["items"]
        assert picture["data"]["image"]["width"] == 800
        assert archive["data"]["image"] is None
        assert archive["data"]["archive"] == {
            "judged": True,
            "entries": 2,
            "unpacked_size": 10,
            "encrypted": False,
            "symlinks": False,
        }


async def test_what_cannot_be_measured_or_judged_is_unknown(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """A vector image has no pixels of its own, and what is no archive has no directory."""
    strict = setting("strict", "max_pixels", "1000") | setting("strict", "archives", "{}")
    strict |= setting("strict", "unknown_contents", "reject")
    cut, broken = written(SIZE, "JPEG")[:100], zipped([Entry()], count=2)
    async with running(await prepared(environ | PIXELS | LIMITS | strict)) as client:
        assert (await stored(client, web, cut, "a.jpg", destination="pics"))["image"] is None
        problem = await rejected(client, web, cut, filename="a.jpg", destination="strict")
        assert "cannot be read from its header" in problem["detail"]
        file = await stored(client, web, broken, "a.zip", destination="zips")
        assert file["archive"] == dict.fromkeys(
            ("entries", "unpacked_size", "encrypted", "symlinks")
        ) | {"judged": False}
        other = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60)
        for data, name in ((broken, "a.zip"), (other, "a.7z")):
            problem = await rejected(client, web, data, filename=name, destination="strict")
            assert "cannot be judged by its directory" in problem["detail"]
        for data, name in ((SVG, "a.svg"), (PDF, "a.pdf"), (b"hello", "a.txt"), (b"", "b.txt")):
            file = await stored(client, web, data, name, destination="strict")
            assert (file["image"], file["archive"]) == (None, None)


_LINK = 0o120777


@pytest.mark.parametrize(
    ("data", "limits", "says"),
    [
        (zipped([Entry()] * 101), {}, "has too many entries; destination zips takes at most 100."),
        (zipped([Entry()] * 3, count=1), {"max_entries": 2}, "has too many entries"),
        (zipped([Entry(unpacked=2**32 - 2)] * 3), {}, "unpacks to 12 GiB; destination zips takes"),
        (zipped([Entry(unpacked=2**30)]), {"max_unpacked": 2**34}, "times its size; destination"),
        (zipped([Entry(b"../../etc/passwd")]), {}, "leads out of the folder"),
        (zipped([Entry(mode=_LINK)]), {}, "has symbolic links"),
        (zipped([Entry(flags=1)]), {"encrypted": "reject"}, "is encrypted"),
        (EXE + bytes(9000) + zipped([Entry(mode=_LINK)]), {}, "has symbolic links"),
        (zipped([Entry(mode=_LINK)]), {"symlinks": "accept"}, None),
        (zipped([Entry(flags=1)]), {}, None),
        (zipped([Entry(unpacked=2**24)]), {}, None),  # small, whatever its ratio is
        (DOCX, {}, None),
        (next(one.data for one in samples() if one.name == "nested"), {}, None),
    ],
)
async def test_limits_of_archives(
    environ: dict[str, str],
    web: httpx.AsyncClient,
    data: bytes,
    limits: dict[str, Any],
    says: str | None,
) -> None:
    environ |= LIMITS
    for name, value in limits.items():
        environ |= setting("zips", f"archives__{name}", str(value))
    said = {"destination": "zips", "filename": "a.bin", "content_type": "application/octet-stream"}
    async with running(await prepared(environ)) as client:
        if says is None:
            assert (await stored(client, web, data, **said))["archive"]["judged"]
        else:
            assert says in (await rejected(client, web, data, **said))["detail"]


async def test_what_only_its_name_calls_an_archive_is_judged(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """With something before and behind it no detector finds a zip; Python's zipfile opens it."""
    data = b"\0" + zipped([Entry(mode=_LINK)]) + b"\0"
    how = {"destination": "zips", "content_type": "application/octet-stream"}
    async with running(await prepared(environ | LIMITS)) as client:
        for name in ("a.zip", "a.docx"):
            problem = await rejected(client, web, data, filename=name, **how)
            assert "has symbolic links" in problem["detail"]
        file = await stored(client, web, data, "a.bin", **how)
        assert file["archive"] is None


async def test_the_parts_are_few_and_of_the_version_that_was_found(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[URL, str]] = []
    threads = []
    ask, run = aiohttp.ClientSession.request, ranges.Reader.run

    def noted(self: Any, method: str, url: URL, **more: Any) -> Any:
        calls.append((url, more["headers"]["Range"]))
        return ask(self, method, url, **more)

    def run_in_thread(self: Any, *part: bytes) -> Any:
        threads.append(threading.current_thread())
        return run(self, *part)

    picture = written(SIZE, "JPEG", icc_profile=bytes(300_000))
    archive = zipped([Entry(b"n" * 900)] * 100)
    async with running(await prepared(environ | PIXELS | LIMITS)) as client:
        monkeypatch.setattr(ranges.Reader, "run", run_in_thread)
        for data, name, destination, most in (
            (picture, "a.jpg", "pics", 4),
            (archive, "a.zip", "zips", 3),
        ):
            upload = await announced(client, data, name, destination=destination)
            await send(web, upload["upload"], data)
            with monkeypatch.context() as patch:
                patch.setattr(aiohttp.ClientSession, "request", noted)
                calls.clear()
                file = (await client.post(f"/v1/uploads/{upload['id']}/confirm")).json()
            assert file["image"] or file["archive"]["entries"] == 100
            assert calls[0][1] == "bytes=0-4095"
            assert 2 <= len(calls) <= most
            assert {url.query.get("versionId") for url, _ in calls[1:]} == {file["version_id"]}
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("name", "content_type", "data", "says"),
    [
        ("a.png", "application/octet-stream", PDF, "The contents are application/pdf; the name"),
        ("A.PNG", "application/octet-stream", b"MZ" + EXE[2:], "the name ends in .png."),
        ("a.pdf", "application/x-own", written((9, 9), "PNG"), "the name ends in .pdf."),
        ("report.docx", "application/octet-stream", EXE, "the name ends in .docx."),
        ("a.txt", "image/png", written((9, 9), "PNG"), "the name ends in .txt."),
        ("a.jpg", "image/png", written((9, 9), "PNG"), None),  # harmless
        ("a.heic", "image/jpeg", written((9, 9), "JPEG"), None),
        ("a.zip", "application/octet-stream", DOCX, None),
        ("a.jar", "application/octet-stream", by_python("META-INF/MANIFEST.MF"), None),
        ("a.apk", "application/octet-stream", by_python("AndroidManifest.xml"), None),
        ("a.svg", "application/octet-stream", SVG, None),
        ("a.own", "application/octet-stream", PDF, None),
        ("a", "application/octet-stream", PDF, None),
        ("a.pdf", "application/octet-stream", NOISE, None),  # unknown
        ("a.docx", "application/octet-stream", b"", None),
    ],
)
async def test_the_extension_is_compared_with_the_contents(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    name: str,
    content_type: str,
    data: bytes,
    says: str | None,
) -> None:
    said = {"filename": name, "content_type": content_type}
    if says is None:
        await stored(client, web, data, **said)
    else:
        assert says in (await rejected(client, web, data, **said))["detail"]


async def test_a_harmless_extension_is_refused_where_names_may_not_lie(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    more = setting("strict", "mistaken_types", "reject")
    async with running(await prepared(environ | more)) as client:
        said = {"destination": "strict", "filename": "a.jpg", "content_type": "image/png"}
        problem = await rejected(client, web, written((9, 9), "PNG"), **said)
        assert problem["detail"] == "The contents are image/png; the name ends in .jpg."
