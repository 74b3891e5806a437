"""Shared by the tests of django-claimcheck: the service, people of the shop, and their uploads."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from claimcheck_client import Client
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser

from tests.support.samples import PNG

SCOPES = (
    *("sessions:mint", "uploads:write", "files:read", "files:all"),
    *("files:delete", "records:write", "records:read"),
)


@dataclass(frozen=True)
class Place:
    """Where the service is; a key of it that may do what Django needs, one that may not all of it,
    and a scanner's.
    """

    url: str
    key: str
    weak_key: str
    scanner_key: str

    def client(self) -> Client:
        return Client(self.url, self.key, cache=None)

    def judge(self, file_id: str, scan: str) -> None:
        """Give a scanner's verdict on a file."""
        headers = {"Authorization": f"Bearer {self.scanner_key}"}
        url = f"{self.url}/v1/files/{file_id}/scan"
        httpx.put(url, json={"scan": scan}, headers=headers, timeout=60).raise_for_status()


def person(name: str, *permissions: str, **more: Any) -> User:
    """Somebody with these permissions, as `add_product`."""
    user = User.objects.create_user(name, password=name, **more)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def signed_in(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def session_of(browser: Browser, field: str) -> dict[str, Any]:
    """The upload session that a page gets for a field, as `product/image`."""
    answer = browser.post(f"/claimcheck/session/shop/{field}/")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = json.loads(answer.content)
    return found


def uploaded(
    browser: Browser, field: str, data: bytes = PNG, filename: str = "Holiday.png"
) -> dict[str, Any]:
    """The JSON of a file that this browser has uploaded for a field."""
    session = session_of(browser, field)
    with Client(session["endpoint"], session["token"], cache=None) as client:
        return dict(client.upload(data, session["destination"], filename=filename))
