"""Steps of the tests of uploads in parts."""

from typing import Any

import httpx

from app.core.parts import MIB
from app.settings.model import Settings
from tests.support.steps import announced

PART = 5 * MIB
DATA = bytes(range(32, 96)) * (2 * PART // 64) + b"the end"
DESTINATIONS: dict[str, Any] = {
    "large": {"part_size": PART, "multipart_threshold": 2 * PART, "max_size": 10**13},
    "always": {"method": "multipart", "part_size": PART, "multipart_expires_in": 86_400},
    "single": {"method": "put"},
    "some": {"content_types": ["text/*"], "min_size": 10, "max_size": len(DATA)},
}


async def start_upload(
    client: httpx.AsyncClient, data: bytes = DATA, **body: Any
) -> dict[str, Any]:
    return await announced(client, data, "a.bin", **{"destination": "large"} | body)


async def confirm(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/confirm")


async def sign(client: httpx.AsyncClient, upload: dict[str, Any], *numbers: int) -> httpx.Response:
    body = {"part_numbers": numbers}
    return await client.post(f"/v1/uploads/{upload['id']}/parts", json=body)


async def parts(client: httpx.AsyncClient, upload: dict[str, Any]) -> Any:
    response = await client.get(f"/v1/uploads/{upload['id']}/parts")
    assert response.status_code == 200, response.text
    return response.json()


async def under_way(s3: Any, settings: Settings) -> list[str]:
    """The ids of the bucket's multipart uploads."""
    bucket = settings.destinations["large"].bucket
    said = await s3.list_multipart_uploads(Bucket=bucket)
    return [upload["UploadId"] for upload in said.get("Uploads", [])]
