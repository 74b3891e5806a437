"""The field's interface to a Claimcheck service, and its implementation over HTTP."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypedDict, cast
from uuid import UUID

import httpx
from starlette.requests import Request


class UploadedFile(TypedDict):
    """A confirmed file. `url` is for keeping; `presigned_url` is for reading, and expires;
    None where the file may not be read yet, or not at all.
    """

    id: str
    url: str
    destination: str
    filename: str
    content_type: str
    size: int
    presigned_url: str | None


class ServiceFailed(Exception):
    """A request to the service failed; the message says why, for the person at the form."""


class UploadService(Protocol):
    """The calls of the field, always for a request that the admin has authorized.

    `endpoint` is the service's URL for browsers, with a slash at its end. `secret` signs the values
    of files that the field has already; it is the same in all processes, and not shared.
    """

    endpoint: str
    secret: bytes

    async def start(self, request: Request, *, destination: str, max_files: int) -> str:
        """The token of an upload session for the browser. Raises ServiceFailed."""
        ...

    async def find(self, request: Request, names: Sequence[str]) -> list[UploadedFile | None]:
        """The files with these ids or object URLs, in order; None where there is none that this
        request may use. Raises ServiceFailed.
        """
        ...


def is_id(value: str) -> bool:
    """Whether this is the id of a file or upload, written as the service writes it."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


class ClaimcheckService:
    """The service at `url`, called with an API key.

    The key has the scopes `sessions:mint`, `uploads:write` and `files:read`, and not `files:all`:
    so forms can name the files of this back end alone. `endpoint` is the URL for browsers where it
    is another one. An upload session lasts `expires_in` seconds, up to a week.
    """

    def __init__(
        self, url: str, key: str, *, endpoint: str | None = None, expires_in: int = 86_400
    ) -> None:
        self.endpoint = (endpoint or url).rstrip("/") + "/"
        self.secret = hashlib.sha256(b"claimcheck upload field\0" + key.encode()).digest()
        self._expires_in = expires_in
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=10)

    async def start(self, request: Request, *, destination: str, max_files: int) -> str:
        wanted = {
            "destination": destination,
            "max_files": max_files,
            "expires_in": self._expires_in,
        }
        answer = await self._ask("POST", "v1/upload-sessions", wanted)
        return str(answer["token"])

    async def find(self, request: Request, names: Sequence[str]) -> list[UploadedFile | None]:
        ids: dict[str, str] = {name: name for name in names if is_id(name)}
        if urls := [name for name in names if name not in ids]:
            answer = await self._ask("POST", "v1/files/presign", {"urls": urls})
            # For a URL without a file, the item is a problem.
            found = zip(urls, answer["items"], strict=True)
            ids |= {url: item["id"] for url, item in found if "id" in item}
        return await asyncio.gather(*(self._get(ids.get(name)) for name in names))

    async def _get(self, file_id: str | None) -> UploadedFile | None:
        if file_id is None:
            return None
        return cast(UploadedFile | None, await self._ask("GET", f"v1/files/{file_id}"))

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON, None for a GET that is answered 404. Raises ServiceFailed."""
        try:
            response = await self._http.request(method, path, json=body)
            answer = response.json()
        except (httpx.HTTPError, ValueError):
            raise ServiceFailed("The upload service does not answer. Try again later.") from None
        if response.is_success:
            return answer
        if method == "GET" and response.status_code == httpx.codes.NOT_FOUND:
            return None
        raise ServiceFailed(f"{answer.get('title')}. {answer.get('detail')}")
