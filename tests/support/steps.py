"""Steps of a client: announce, send, confirm, read a problem."""

from typing import Any

import asyncpg
import httpx


def setting(destination: str, name: str, value: str) -> dict[str, str]:
    """A setting of a destination, for the environment."""
    return {f"CLAIMCHECK_DESTINATIONS__{destination.upper()}__{name.upper()}": value}


async def minted(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """A new upload session: the answer's JSON, its token in it."""
    response = await client.post("/v1/upload-sessions", json={"destination": "files"} | body)
    assert response.status_code == 201, response.text
    return response.json()


def without_length(headers: dict[str, str]) -> dict[str, str]:
    """The headers for a client that computes the length itself, as browsers do."""
    return {name: value for name, value in headers.items() if name != "content-length"}


async def send(web: httpx.AsyncClient, upload: dict[str, Any], data: bytes) -> httpx.Response:
    """Send the bytes as the instructions of an announcement say; of parts, the last answer."""
    if upload["method"] == "multipart":
        assert len(upload["parts"]) == upload["part_count"]
        for part in upload["parts"]:
            start = (part["part_number"] - 1) * upload["part_size"]
            sent = await web.put(part["url"], content=data[start : start + part["size"]])
            if not sent.is_success:
                break
        return sent
    url = str(upload["url"])
    if upload["method"] == "POST":
        return await web.post(url, data=upload["fields"], files={"file": ("file", data)})
    return await web.put(url, headers=without_length(upload["headers"]), content=data)


async def announced(
    client: httpx.AsyncClient, data: bytes, filename: str = "a.txt", **body: Any
) -> dict[str, Any]:
    """Announce bytes; the answer's JSON."""
    body = {"destination": "files", "filename": filename, "size": len(data)} | body
    response = await client.post("/v1/uploads", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def stored(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    data: bytes = b"hello",
    filename: str = "a.txt",
    **body: Any,
) -> dict[str, Any]:
    """Announce, send and confirm bytes; the file's JSON."""
    upload = await announced(client, data, filename, **body)
    assert (await send(web, upload["upload"], data)).status_code in {200, 201, 204}
    response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert response.status_code == 200, response.text
    return response.json()


async def rejected(
    client: httpx.AsyncClient, web: httpx.AsyncClient, data: bytes, **body: Any
) -> dict[str, Any]:
    """Announce, send, and be refused at confirm; the problem, with the upload's id."""
    upload = await announced(client, data, **body)
    assert (await send(web, upload["upload"], data)).is_success
    response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert (response.status_code, slug(response)) == (422, "upload-rejected")
    return {**response.json(), "id": upload["id"], "key": upload["key"]}


async def confirm_all(database_url: str) -> None:
    """Make files of all pending uploads, as if the bucket had been asked."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE files SET state = 'confirmed', confirmed_at = created_at")
    await connection.close()


def slug(response: httpx.Response) -> str:
    """Which problem the answer is; fails if it is none."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["type"]).removeprefix("urn:claimcheck:problem:")
