"""clamd's protocol, and the proof of what it scans."""

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.core.scans import Scan
from app.scans.clamd import Clamd, ClamdUnavailable
from app.scans.proof import MARK, SMALLEST, marked, nested, prove
from tests.support.clamd import LIMIT, NAME, limits, start_clamd


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    ("chunks", "verdict", "reason"),
    [
        ([b"hello"], Scan.CLEAN, None),
        ([], Scan.CLEAN, None),
        ([MARK], Scan.INFECTED, NAME),
        ([MARK[:10], MARK[10:]], Scan.INFECTED, NAME),
        ([nested(3)], Scan.INFECTED, NAME),
        # It says so, as AlertExceedsMax is on, and is not taken to have found malware.
        ([bytes(LIMIT), MARK], Scan.FAILED, "Heuristics.Limits.Exceeded.MaxFileSize"),
        ([nested(102)], Scan.FAILED, "Heuristics.Limits.Exceeded.MaxRecursion"),
        # More than it takes: it answers before the stream ends, and hangs up.
        ([bytes(64 * 1024)] * 200, Scan.FAILED, "INSTREAM size limit exceeded"),
    ],
)
async def test_verdicts(
    clamd: Clamd, chunks: list[bytes], verdict: Scan, reason: str | None
) -> None:
    answer = await clamd.scan(stream(*chunks))
    assert answer.verdict is verdict
    assert answer.reason is None if reason is None else reason in str(answer.reason)


async def test_a_stream_that_breaks_is_no_clean_file(clamd: Clamd) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hello"
        raise OSError("the bucket is gone")

    with pytest.raises(OSError, match="the bucket is gone"):
        await clamd.scan(broken())


async def test_what_is_encrypted_hides(clamd: Clamd, tmp_path: Path) -> None:
    """It is clean, unless clamd is set to say so."""
    data = bytearray(b"".join(marked(SMALLEST)))
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for found in re.finditer(header, bytes(data)):
            data[found.start() + flags] |= 1
    assert (await clamd.scan(stream(bytes(data)))).verdict is Scan.CLEAN
    with start_clamd(tmp_path, limits() + "AlertEncrypted yes\n") as strict:
        answer = await strict.scan(stream(bytes(data)))
    assert answer == (Scan.INFECTED, "Heuristics.Encrypted.Zip")


async def test_nobody_listens(tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none", "tcp://127.0.0.1:1"):
        with pytest.raises(ClamdUnavailable, match="cannot be reached"):
            await Clamd(url).scan(stream(b"x"))


@pytest.mark.parametrize("said", [b"", b"PONG\0", b"stream: OK", b"OKAY\0"])
async def test_answers_that_are_none(said: bytes) -> None:
    """Only clamd's own words make a file clean; half of them, or none, do not."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ClamdUnavailable, match="without a verdict"):
            await Clamd(f"tcp://127.0.0.1:{port}").scan(stream(b"x"))


class TestProof:
    @pytest.mark.parametrize("size", [SMALLEST, SMALLEST + 1, 300_000, LIMIT])
    def test_the_mark_is_at_the_end(self, size: int) -> None:
        data = b"".join(marked(size))
        assert len(data) == size
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            first, last = archive.infolist()
            assert archive.read(last) == MARK
            assert first.header_offset < last.header_offset

    async def test_of_a_good_one(self, clamd: Clamd) -> None:
        assert await prove(clamd, LIMIT) == []

    async def test_of_limits_that_are_lower(self, clamd: Clamd) -> None:
        [objection] = await prove(clamd, LIMIT + 1)
        assert f"MaxFileSize in clamd.conf to {LIMIT + 1} or more" in objection.remedy

    async def test_of_one_that_is_silent(self, silent_clamd: Clamd) -> None:
        """Without AlertExceedsMax it calls clean what it has not looked at."""
        assert (await silent_clamd.scan(stream(bytes(LIMIT), MARK))).verdict is Scan.CLEAN
        beyond, silent = await prove(silent_clamd, LIMIT + 1)
        assert "it is clean" in beyond.meaning
        assert "AlertExceedsMax yes" in silent.remedy


@pytest.fixture(scope="module")
def silent_clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with start_clamd(tmp_path_factory.mktemp("clamd"), limits(alert=False)) as clamd:
        yield clamd
