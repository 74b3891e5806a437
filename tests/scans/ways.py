"""Every way through the API by which a file might be read, and whether an answer shows one."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import httpx
from fastapi.routing import APIRoute

from app.main import create_app
from app.settings.model import Settings

RECORD: Final = "/v1/records/{record_type}/{record_id}"
# Routes by what they begin with that are about no file, and show none.
OF_NO_FILE: Final = (
    *("/v1/usage", "/v1/quotas", "/v1/requests"),  # whose lists of files have no links
    *("/v1/webhooks", "/v1/upload-sessions", "/v1/api-keys", "/v1/destinations"),
    *("/v1/capabilities", "/v1/bucket-events", "/livez", "/readyz", "/metrics"),
    *("/docs", "/openapi.json", "/uppy/s3/sts", "/uppy/to/{destination}/s3/sts"),
)


@dataclass(frozen=True)
class Way:
    """A request, by the template of its route."""

    method: str
    route: str
    query: str = ""
    json: Any = None
    headers: Any = None

    async def go(self, client: httpx.AsyncClient, file: dict[str, Any]) -> httpx.Response:
        path = self.route
        for name, value in {
            "file_id": file["id"],
            "upload_id": file["id"],
            "record_type": "product",
            "record_id": "42",
            "field": "papers",
            "destination": "files",
            "part_number": "1",
        }.items():
            path = path.replace(f"{{{name}}}", value)
        url = f"{path}{self.query}".replace("{key}", file["key"])
        return await client.request(self.method, url, json=self.json, headers=self.headers)


def ways(file: dict[str, Any], data: bytes, key: str) -> list[Way]:
    """All of them, the last ones such as take the file out. It was announced with this key."""
    digest = b64encode(hashlib.sha256(data).digest()).decode()
    announcement = announcement_of(data)
    again = announcement | {"checksum_sha256": digest}
    uppy = [Way("GET", "/uppy{to}/s3/params", f"?filename={file['filename']}&type=text/plain")]
    uppy += [
        Way("POST", "/uppy{to}/s3/multipart", json={"filename": "a.txt", "type": "text/plain"}),
        Way("GET", "/uppy{to}/s3/multipart/{upload_id}/batch", "?key={key}&partNumbers=1"),
        Way("GET", "/uppy{to}/s3/multipart/{upload_id}/{part_number}", "?key={key}"),
        Way("GET", "/uppy{to}/s3/multipart/{upload_id}", "?key={key}"),
        Way(
            *("POST", "/uppy{to}/s3/multipart/{upload_id}/complete", "?key={key}"),
            json={"parts": [{"PartNumber": 1, "ETag": "x"}]},
        ),
        Way("DELETE", "/uppy{to}/s3/multipart/{upload_id}", "?key={key}"),
    ]
    return [
        Way("POST", "/v1/uploads", json=announcement, headers={"Idempotency-Key": key}),
        Way("POST", "/v1/uploads/batch", json={"uploads": [again]}),
        Way("GET", "/v1/uploads/{upload_id}"),
        Way("POST", "/v1/uploads/{upload_id}/renew"),
        Way("POST", "/v1/uploads/{upload_id}/confirm"),
        Way("POST", "/v1/uploads/{upload_id}/parts", json={"part_numbers": [1]}),
        Way("GET", "/v1/uploads/{upload_id}/parts"),
        Way("DELETE", "/v1/uploads/{upload_id}"),
        Way("POST", "/v1/upload-url", json={"destination": "files", "filename": "b.txt"}),
        Way("POST", "/v1/files", json={"url": file["url"]}),
        Way("POST", "/v1/files", json={"destination": "files", "key": file["key"]}),
        Way("GET", "/v1/files"),
        Way("GET", "/v1/files", "?q=mark"),
        Way("GET", "/v1/files/{file_id}"),
        Way("PATCH", "/v1/files/{file_id}", json={"metadata": {"page": 1}}),
        Way("POST", "/v1/files/presign", json={"ids": [file["id"]]}),
        Way("POST", "/v1/files/presign", json={"urls": [file["url"]], "reader": "script"}),
        Way("GET", "/v1/files/{file_id}/content"),
        Way("HEAD", "/v1/files/{file_id}/content"),
        Way("GET", "/v1/files/{file_id}/content", "?disposition=attachment&filename=x.txt"),
        Way("GET", "/v1/files/{file_id}/content", "?reader=script"),
        Way("PUT", f"{RECORD}/{{field}}", json={"file_id": file["id"]}),
        Way("PUT", f"{RECORD}/{{field}}", json={"url": file["url"]}),
        Way("GET", RECORD),
        Way("GET", "/v1/records/{record_type}", "?ids=42"),
        Way("GET", "/v1/events"),
        Way("GET", "/"),
        Way("GET", "/r"),
        *(
            Way(way.method, way.route.replace("{to}", to), way.query, way.json)
            for way in uppy
            for to in ("", "/to/{destination}")
        ),
        Way("DELETE", "/v1/files/{file_id}"),
        Way("DELETE", f"{RECORD}/{{field}}"),
        Way("DELETE", RECORD),
    ]


def announcement_of(data: bytes) -> dict[str, Any]:
    return {
        "destination": "files",
        "filename": "mark.txt",
        "content_type": "text/plain",
        "size": len(data),
        "checksum_sha256": b64encode(hashlib.sha256(data).digest()).decode(),
    }


def routes_of(settings: Settings) -> set[tuple[str, str]]:
    """Method and template of every route of the API."""
    return {
        (method, route.path)
        for route in create_app(settings).router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
        if not route.path.startswith((*OF_NO_FILE, "/admin"))
    }


def shows(response: httpx.Response, file: dict[str, Any]) -> bool:
    """Whether the answer has anything by which the file can be read."""
    said = unquote(f"{response.text} {response.headers}")
    signed = "X-Amz-Signature=" in said and file["key"] in said
    return signed or f"{file['id']}/content?grant=" in said
