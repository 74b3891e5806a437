"""Fixtures of every folder whose tests need a browser."""

import shutil
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.browser.chromium import Watch, launched
from tests.support.browser.packages import install


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("browser tests: Chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `node_modules`; for tests with `needs_npm`."""
    folder = tmp_path_factory.mktemp("packages")
    install(folder)
    return folder


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG of 24 x 16 pixels (W3C PNG: signature, IHDR, IDAT, IEND)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    width, height = 24, 16
    rows = b"".join(
        b"\0" + bytes((16 * y, 120, 10 * x)[i] for x in range(width) for i in range(3))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
