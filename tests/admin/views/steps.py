"""Steps of the tests of the panel's views."""

import re
from typing import Any

import httpx

from app.settings.model import Settings
from tests.admin.panel import Panel, member

SCOPES = ("uploads:write", "files:read", "files:delete", "records:read", "records:write")
RECORDS = {
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PRODUCT__PAPERS__DESTINATION": "files",
    "CLAIMCHECK_RECORDS__PRODUCT__PAPERS__MANY": "true",
    "CLAIMCHECK_RECORDS__PERSON__PHOTO__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PERSON__PHOTO__SCOPES": "photos:write",
}


async def signed_in(browser: Panel, settings: Settings, name: str, **how: Any) -> Panel:
    await member(settings, name, **how)
    await browser.sign_in(name)
    return browser


def link(page: httpx.Response, label: str) -> str:
    """The address behind a link with this text, below /admin."""
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>{label}</a>', page.text)
    assert found, f"no link {label!r}"
    return found[1].replace("&amp;", "&").partition("/admin")[2]


async def status_of(web: httpx.AsyncClient, file: dict[str, Any]) -> int:
    return (await web.get(file["presigned_url"])).status_code
