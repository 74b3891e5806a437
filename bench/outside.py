"""Requests that know a build by its HTTP API alone: announce, confirm, read.

They bring their own files, announced and confirmed over HTTP, since the tables of two builds may
differ. Each section takes a site and returns its cases; their names are alike on every site.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bench.bucket import PICTURE
from bench.servers import BenchError, Server

BATCH: Final = 50
PAGE: Final = 100
DESTINATIONS: Final = {
    "images": {"content_types": ["image/*"]},
    "put": {"content_types": ["image/*"], "method": "put"},
    # No link is remembered.
    "anew": {"content_types": ["image/*"], "method": "put", "link_window": 0},
}
ANNOUNCEMENT: Final = {
    "destination": "images",
    "filename": "Holiday in Provence 2026.png",
    "content_type": "image/png",
    "size": 482_133,
}
# One name in ten is Greek, which takes longer to write in a link.
_SMALL: Final = [
    ANNOUNCEMENT | {"filename": f"{name} {number}.png", "size": len(PICTURE)}
    for number in range(BATCH)
    for name in ["Holiday in Provence" if number % 10 else "Διακοπές στην Προβηγκία"]
]
# Requests of one run: a quarter to half a second of a core for each case.
_ANNOUNCEMENTS: Final = 1000
_BATCHES: Final = 80
_CONFIRMS: Final = 150
_GETS: Final = 800
_LISTS: Final = 200
_PRESIGNS: Final = 300


@dataclass(frozen=True)
class Case:
    """One kind of request.

    `prepare` returns the paths that one run asks for, one a request. `check` is told them after
    the run, and raises BenchError if the requests did not do what they are for.
    """

    name: str
    method: str
    prepare: Callable[[], list[str]]
    body: Any = None
    check: Callable[[list[str]], None] = lambda _: None


@dataclass(frozen=True)
class Site:
    """A running build, and a key that opens it."""

    server: Server
    key: str
    client: httpx.Client

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer.

        Raises BenchError if there is none, or if its status is an error.
        """
        headers = {"Authorization": f"Bearer {self.key}"}
        url = self.server.url + path
        try:
            answer = self.client.request(method, url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise BenchError(f"{method} {path} was not answered: {error!r}") from error
        if answer.is_error:
            raise BenchError(f"{method} {path} was answered {answer.status_code} {answer.text}")
        return answer.json()

    def arrive(self, count: int, destination: str = "put", one_in: int = 1) -> list[str]:
        """Ids of `count` new uploads, a multiple of BATCH: the objects of one in so many are in the
        bucket, from the first on.
        """
        batch = {"uploads": [one | {"destination": destination} for one in _SMALL]}
        announced: list[dict[str, Any]] = []
        while len(announced) < count:
            announced += self.call("POST", "/v1/uploads/batch", batch)["uploads"]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._send, announced[::one_in]))
        return [one["id"] for one in announced]

    def _send(self, announced: dict[str, Any]) -> None:
        put = announced["upload"]
        answer = self.client.put(put["url"], headers=put["headers"], content=PICTURE)
        if answer.is_error:
            raise BenchError(f"The store answered {answer.status_code} {answer.text} to a PUT.")


def announce(site: Site) -> list[Case]:
    """One announcement a request, and by batch."""
    one, batch = ANNOUNCEMENT, {"uploads": [ANNOUNCEMENT] * BATCH}

    def check(_: list[str]) -> None:
        found = [site.call("POST", "/v1/uploads", one)]
        found += site.call("POST", "/v1/uploads/batch", batch)["uploads"]
        for upload in found:
            site.call("GET", f"/v1/uploads/{upload['id']}")

    return [
        Case("announce", "POST", lambda: ["/v1/uploads"] * _ANNOUNCEMENTS, one, check),
        Case(
            f"announce by batch of {BATCH}",
            *("POST", lambda: ["/v1/uploads/batch"] * _BATCHES, batch, check),
        ),
    ]


def confirm(site: Site) -> list[Case]:
    """Confirm uploads sent by PUT whose objects are there, each once."""

    def prepare() -> list[str]:
        return [f"/v1/uploads/{upload_id}/confirm" for upload_id in site.arrive(_CONFIRMS)]

    def check(paths: list[str]) -> None:
        for path in (paths[0], paths[-1]):
            site.call("GET", path.replace("uploads", "files").removesuffix("/confirm"))

    return [Case("confirm", "POST", prepare, check=check)]


def read(site: Site) -> list[Case]:
    """One file with its link, the redirect to it, links by id, and lists with links: of those that
    are remembered for a while, and of those that are signed anew each time.
    """
    page, anew = (
        f"/v1/files?destination={destination}&limit={PAGE}" for destination in ("put", "anew")
    )
    files = _page(site, page, "put")
    _page(site, anew, "anew")
    each = [f"/v1/files/{file['id']}" for file in files] * (_GETS // PAGE)
    presign = ["/v1/files/presign"] * _PRESIGNS
    ids = {"ids": [file["id"] for file in files]}
    return [
        Case("get", "GET", lambda: each),
        Case("redirect", "GET", lambda: [f"{path}/content" for path in each]),
        Case(f"presign of {PAGE}", "POST", lambda: presign, ids),
        Case(f"list of {PAGE}", "GET", lambda: [page] * _LISTS),
        Case(f"list of {PAGE}, signed anew", "GET", lambda: [anew] * _LISTS),
    ]


def _page(site: Site, page: str, destination: str) -> list[dict[str, Any]]:
    """The files of a full page of the destination, which are made if need be."""
    if len(site.call("GET", page)["items"]) < PAGE:
        # More than a page, so that there is a next one.
        for upload_id in site.arrive(2 * PAGE, destination):
            site.call("POST", f"/v1/uploads/{upload_id}/confirm")
    files: list[dict[str, Any]] = site.call("GET", page)["items"]
    if len(files) < PAGE or not all(file["presigned_url"] for file in files):
        raise BenchError(f"{page} is not a page of {PAGE} files with links.")
    return files


SECTIONS: Final[dict[str, Callable[[Site], list[Case]]]] = {
    "announce": announce,
    "confirm": confirm,
    "read": read,
}
