"""SIGKILL where the bucket has done its part and the database has not: sweep and reconcile mend it.

Each S3 call that changes something and is followed by a commit is one such place; so is the look
that a confirm stands on. Those of the sweep itself are in tests/upkeep/sweep/test_command.py.
"""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.core.parts import MIB
from tests.support.faults import cut_off
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import owner_of_bucket, prepared, running, served
from tests.support.steps import announced, send, stored
from tests.support.upkeep import PAUSED, found, swept


async def test_killed_between_the_bucket_and_each_commit(
    environ: dict[str, str], web: httpx.AsyncClient, database_url: str, tmp_path: Path
) -> None:
    """The bucket has done as it was told, and the service dies before it hears of it.

    At each call that is followed by a commit: begin an upload in parts, look at an object, join
    parts, drop parts, delete an upload's object and a file's. Whatever is left is the sweep's, and
    then bucket and database agree.
    """
    environ |= {
        "CLAIMCHECK_DESTINATIONS__FILES__PART_SIZE": str(5 * MIB),
        "CLAIMCHECK_DESTINATIONS__FILES__MULTIPART_THRESHOLD": str(5 * MIB),
    }
    settings = await prepared(environ)
    large = bytes(6 * MIB)
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        through = cut_off(environ, proxy)
        async with served(through, tmp_path / "log") as service:
            client = service.client
            looked, joined, dropped, unwanted = [
                await announced(client, data, "a.bin")
                for data in (b"hello", large, large, b"hello")
            ]
            for upload, data in ((looked, b"hello"), (joined, large), (unwanted, b"hello")):
                assert (await send(web, upload["upload"], data)).is_success
            file = await stored(client, web)
            body = {"destination": "files", "filename": "b.bin", "size": len(large)}
            rules = [proxy.disturb(c, "after") for c in ("Create", "GET", "Complete", "Abort")]
            rules += [proxy.disturb("DELETE", "after") for _ in range(2)]
            requests = [
                asyncio.create_task(request)
                for request in (
                    client.post("/v1/uploads", json=body),
                    client.post(f"/v1/uploads/{looked['id']}/confirm"),
                    client.post(f"/v1/uploads/{joined['id']}/confirm"),
                    client.delete(f"/v1/uploads/{dropped['id']}"),
                    client.delete(f"/v1/uploads/{unwanted['id']}"),
                    client.delete(f"/v1/files/{file['id']}?object=delete"),
                )
            ]
            async with asyncio.timeout(240):
                for rule in rules:
                    await rule.done.wait()
            await service.kill()
            for request in requests:
                with pytest.raises(httpx.TransportError):
                    await request
    assert await states(database_url) == {"pending": 2, "completing": 1, "removing": 3}
    assert await found(settings) == {}
    counts = await swept(settings, PAUSED + timedelta(days=7))
    assert counts == {"confirmed": 2, "removed": 4}
    assert await found(settings) == {}
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        listed = (await client.get("/v1/files")).json()["items"]
        assert {item["id"] for item in listed} == {looked["id"], joined["id"]}
        for item in listed:
            assert len((await web.get(item["presigned_url"])).content) == item["size"]
        bucket = settings.destinations["files"].bucket
        versions = await s3.list_object_versions(Bucket=bucket)
        assert {v["Key"] for v in versions["Versions"]} == {item["key"] for item in listed}
        assert "DeleteMarkers" not in versions
        assert "Uploads" not in await s3.list_multipart_uploads(Bucket=bucket)


async def states(database_url: str) -> dict[str, int]:
    db = await asyncpg.connect(database_url)
    rows = await db.fetch("SELECT state, count(*) FROM files GROUP BY 1")
    await db.close()
    return {row[0]: row[1] for row in rows if row[0] != "confirmed"}
