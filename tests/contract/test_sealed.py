"""A file that says it is sealed serves the bytes that were confirmed, whatever is sent later."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.contract.flow import Flow, edited
from tests.contract.stores import Feature, having, lacking, sending

FIRST, SECOND = b"first", b"other"


def parts_to_headers(upload: dict[str, Any]) -> dict[str, Any]:
    """The one part as if it were a PUT: `edited` knows headers."""
    [part] = upload["upload"]["parts"]
    return {"method": "PUT", "url": part["url"], "headers": {}}


async def attacks(flow: Flow, upload: dict[str, Any], other: str) -> AsyncIterator[httpx.Response]:
    """Everything that the uploader can still send, and what the store says to it."""
    instructions = upload["upload"]
    if instructions["method"] == "multipart":
        instructions = parts_to_headers(upload)
    yield await flow.send(instructions, SECOND)
    if instructions["method"] == "PUT":
        copying = {"x-amz-copy-source": f"/{flow.store.bucket}/{other}"}
        yield await flow.send(edited(instructions, copying), SECOND)
        yield await flow.web.request("DELETE", instructions["url"])
    for path, body in (("renew", None), ("parts", {"part_numbers": [1]})):
        yield await flow.api.post(f"/v1/uploads/{upload['id']}/{path}", json=body)
    yield await flow.api.delete(f"/v1/uploads/{upload['id']}")


@sending(parts=True)
async def test_replays_leave_sealed_bytes_alone(flow: Flow, method: str) -> None:
    other = await flow.file("multipart", b"their")
    upload = await flow.announce(method, FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    file = (await flow.confirm(upload)).json()
    assert file["sealed"] == flow.kind.seals(method)
    served = set()
    async for _ in attacks(flow, upload, other["key"]):
        again = (await flow.confirm(upload)).json()
        assert again["sealed"] == file["sealed"]
        for url in (file["presigned_url"], again["presigned_url"], await flow.link(file)):
            # What is spoilt may not be served at all.
            served.add((await flow.web.get(url)).content)
    # Where a file says that nothing keeps it, it is because that was done.
    assert (served == {FIRST}) is (file["sealed"] != "no")


@having(Feature.DEAD_PARTS)
async def test_replays_of_what_uppy_holds_leave_sealed_bytes_alone(flow: Flow) -> None:
    """Its part URLs take any length, also of parts that the file never had."""
    door = "/uppy/to/multipart/s3/multipart"
    created = (await flow.api.post(door, json={"filename": "a.txt", "type": "text/plain"})).json()
    path, key = f"{door}/{created['uploadId']}", {"key": created["key"]}
    first, second = [
        (await flow.api.get(f"{path}/{number}", params=key)).json()["url"] for number in (1, 2)
    ]
    etag = (await flow.web.put(first, content=FIRST)).headers["etag"]

    async def complete() -> httpx.Response:
        parts = [{"PartNumber": 1, "ETag": etag}]
        return await flow.api.post(f"{path}/complete", params=key, json={"parts": parts})

    assert (await complete()).status_code == 200
    named = {"destination": "multipart", **key}
    file = (await flow.api.post("/v1/files", json=named)).json()
    assert file["sealed"] == flow.kind.seals("multipart")
    for replayed in (
        await flow.web.put(first, content=SECOND),
        await flow.web.put(second, content=SECOND),
        await flow.web.delete(first),
        await flow.api.get(f"{path}/2", params=key),
        await flow.api.delete(path, params=key),
        await complete(),
    ):
        again = (await flow.api.post("/v1/files", json=named)).json()
        assert (again["id"], again["etag"]) == (file["id"], file["etag"]), replayed
        for url in (file["presigned_url"], again["presigned_url"], await flow.link(file)):
            assert await flow.read(url) == FIRST, replayed


@lacking(Feature.SIGNED_HEADERS_ONLY)
async def test_on_such_a_store_a_condition_is_no_seal(flow: Flow) -> None:
    """Not even where it keeps a second PUT out: a copy asks for no condition."""
    other = await flow.file("multipart", b"their")
    upload = await flow.announce("put", FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    copying = {"x-amz-copy-source": f"/{flow.store.bucket}/{other['key']}"}
    assert (await flow.send(edited(upload["upload"], copying), SECOND)).status_code == 200
    found = flow.store.owner.get_object(Bucket=flow.store.bucket, Key=upload["key"])
    assert found["Body"].read() == b"their"
