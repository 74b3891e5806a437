"""Files of the corpus, as browsers announce them: none is refused, and nothing active is shown."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.contents import HEAD_BYTES, Verdict, compare, correction, detect
from app.core.delivery import shown_inline
from tests.support.corpus import FILES, announced_types, lies
from tests.support.service import prepared, running
from tests.support.steps import send

HONEST = [file for file in FILES if not lies(file)]
# What a browser may run, if it is told to show it: by their extensions, not by what we find.
_ACTIVE = "html htm xhtml svg svgz xml xsl rss atom xspf mpd mhtml pdf ai js mjs swf"
ACTIVE = frozenset(_ACTIVE.split())
# Types that are shown inline, each of which some file may be announced as.
INLINE = ["text/plain", "image/png", "image/x-icon", "video/mp4", "video/mp2t", "audio/midi"]


def test_the_corpus_is_large_enough() -> None:
    assert len(HONEST) >= 400
    assert len({kind for file in FILES for kind in announced_types(file)}) >= 300
    assert sum(file.stat().st_size for file in FILES) < 3_000_000


@pytest.mark.parametrize("file", HONEST, ids=lambda file: file.name)
def test_no_honest_file_differs(file: Path) -> None:
    detected = detect(file.read_bytes()[:HEAD_BYTES])
    for announced in announced_types(file):
        assert compare(announced, detected) is not Verdict.DIFFERS, announced


@pytest.mark.parametrize("file", [*filter(lies, FILES)], ids=lambda file: file.name)
def test_a_harmless_lie_is_corrected(file: Path) -> None:
    detected = detect(file.read_bytes()[:HEAD_BYTES])
    truly = file.name.removeprefix("really-a-").split(".")[0]
    for announced in announced_types(file):
        verdict = compare(announced, detected)
        if verdict is Verdict.DIFFERS:
            assert correction(announced, detected), announced
    if truly in {"docx", "xlsx", "jpeg", "png", "webp", "gif", "m4a", "webm", "wav"}:
        assert any(correction(announced, detected) for announced in announced_types(file))


def _pairs() -> list[tuple[Path, str]]:
    honest = [(file, kind) for file in FILES for kind in announced_types(file)]
    active = [(file, kind) for file in FILES if file.suffix[1:] in ACTIVE for kind in INLINE]
    return honest + active


async def _confirmed(
    client: httpx.AsyncClient, web: httpx.AsyncClient, pairs: list[tuple[Path, str]]
) -> AsyncIterator[tuple[Path, str, dict[str, Any]]]:
    """The answer of confirm for each file under each type: the file's JSON, or the problem's."""
    for start in range(0, len(pairs), 50):
        batch = pairs[start : start + 50]
        body = [
            {
                "destination": "files",
                "filename": file.name,
                "content_type": kind,
                "size": file.stat().st_size,
            }
            for file, kind in batch
        ]
        answer = await client.post("/v1/uploads/batch", json={"uploads": body})
        uploads = answer.json()["uploads"]
        sent = await asyncio.gather(
            *(
                send(web, upload["upload"], file.read_bytes())
                for upload, (file, _) in zip(uploads, batch, strict=True)
            )
        )
        assert all(response.is_success for response in sent)
        for upload, (file, kind) in zip(uploads, batch, strict=True):
            confirmed = await client.post(f"/v1/uploads/{upload['id']}/confirm")
            yield file, kind, confirmed.json()


async def test_all_are_announced_and_confirmed(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    refused, shown = [], []
    honest = {pair for pair in _pairs() if pair[1] in announced_types(pair[0])}
    async with running(await prepared(environ)) as client:
        async for file, kind, answer in _confirmed(client, web, _pairs()):
            if answer["state"] == "rejected":
                refused.append((file.name, kind, answer["detail"]))
                continue
            assert answer["announced_type"] == kind.lower()
            inline = shown_inline(answer["content_type"], answer["detected_type"])
            served = (await web.get(answer["presigned_url"])).headers
            saved = served.get("content-disposition", "").startswith("attachment")
            assert inline != saved
            if inline and file.suffix[1:] in ACTIVE:
                shown.append((file.name, kind, served["content-type"]))
    assert [one for one in refused if (file_of(one[0]), one[1]) in honest] == []
    # As text, in which nothing runs: scripts, and what is not found to be markup.
    assert {served for _, _, served in shown} <= {"text/plain", "text/plain; charset=utf-8"}
    assert len(shown) < 10


def file_of(name: str) -> Path:
    return next(file for file in FILES if file.name == name)
