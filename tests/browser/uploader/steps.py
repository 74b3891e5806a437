"""Steps of the tests of uploader.js."""

import json
from typing import Any

from playwright.async_api import Page

from tests.browser.line import Files, Line, outcome


async def file_of(page: Page, line: Line, files: Files) -> dict[str, Any]:
    """The one file of the outcome, whose bytes are those that were chosen."""
    [file] = await outcome(page)
    assert file.get("state") == "confirmed", file
    assert await line.digest_of(file) == files.digests[file["filename"]]
    assert await page.evaluate("localStorage.length") == 0, "a finished upload is forgotten"
    return file


async def remembered(page: Page) -> str:
    """The id of the one upload that the page would go on with after a reload."""
    [entry] = await page.evaluate("Object.values(localStorage)")
    upload_id: str = json.loads(entry)["id"]
    return upload_id


def heads(requests: list[str]) -> int:
    """Bytes at most that these requests, and the questions whether they may be sent, begin with."""
    return 2 * 2048 * len(requests)
