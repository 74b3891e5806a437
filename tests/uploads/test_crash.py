"""SIGKILL at any moment loses nothing: the same database and bucket take up where it ended."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.settings.model import Settings
from app.store.signer import utc_now
from tests.support.faults import cut_off, silence
from tests.support.service import running, served
from tests.support.steps import announced, send, slug, stored


async def claimed(
    client: httpx.AsyncClient, path: str, done: Callable[[httpx.Response], bool]
) -> None:
    """Wait until another service's claim shows."""
    for _ in range(3000):
        if done(await client.get(path)):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"nobody claimed {path}")


async def test_killed_between_announcement_upload_and_confirm(
    settings: Settings, environ: dict[str, str], web: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with served(environ, tmp_path / "first") as service:
        by_post = await announced(service.client, b"hello")
        batch = {"uploads": [{"destination": "files", "filename": "b.txt", "size": 5}] * 2}
        response = await service.client.post("/v1/uploads/batch", json=batch)
        in_batch = response.json()["uploads"][0]
        await service.kill()
    # The bytes go to the bucket while no service is there.
    for upload in (by_post, in_batch):
        assert (await send(web, upload["upload"], b"hello")).is_success
    async with served(environ, tmp_path / "second") as service:
        assert (await service.client.get(f"/v1/uploads/{by_post['id']}")).json()[
            "state"
        ] == "pending"
        confirmed = await service.client.post(f"/v1/uploads/{by_post['id']}/confirm")
        assert confirmed.status_code == 200
        await service.kill()
    async with running(settings) as client:
        again = await client.post(f"/v1/uploads/{by_post['id']}/confirm")
        assert again.json()["confirmed_at"] == confirmed.json()["confirmed_at"]
        later = await client.post("/v1/files", json={"url": in_batch["url"]})
        assert later.status_code == 200
        for file in (confirmed.json(), again.json(), later.json()):
            assert (await web.get(file["presigned_url"])).content == b"hello"
        assert len((await client.get("/v1/files")).json()["items"]) == 2


async def test_killed_while_it_asks_the_bucket(
    settings: Settings, environ: dict[str, str], web: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with running(settings) as client, silence() as store:
        file = await stored(client, web, b"to be removed")
        upload = await announced(client, b"hello")
        await send(web, upload["upload"], b"hello")
        cancelled = await announced(client, b"x")

        async with served(cut_off(environ, store), tmp_path / "log") as service:
            requests = [
                asyncio.create_task(request)
                for request in (
                    service.client.post(f"/v1/uploads/{upload['id']}/confirm"),
                    service.client.delete(f"/v1/files/{file['id']}?object=delete"),
                    service.client.delete(f"/v1/uploads/{cancelled['id']}"),
                )
            ]
            # Claimed means committed, before the bucket is asked.
            await asyncio.wait_for(store.asked.wait(), 120)
            await claimed(client, f"/v1/files/{file['id']}", lambda r: r.status_code == 404)
            path = f"/v1/uploads/{cancelled['id']}"
            await claimed(client, path, lambda r: r.json()["state"] == "removing")
            await service.kill()
            for request in requests:
                with pytest.raises(httpx.TransportError):
                    await request

        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200

        removals = (f"/v1/files/{file['id']}?object=delete", f"/v1/uploads/{cancelled['id']}")
        for path in removals:
            early = await client.delete(path)
            assert (early.status_code, slug(early)) == (409, "removal-under-way")
            assert int(early.headers["retry-after"]) > 0
        assert (await web.get(file["presigned_url"])).status_code == 200
        later = utc_now() + timedelta(seconds=61)
        async with running(settings, clock=lambda: later) as after_the_lease:
            for path in removals:
                assert (await after_the_lease.delete(path)).status_code == 204
        assert (await web.get(file["presigned_url"])).status_code == 404
        assert (await client.delete(removals[0])).status_code == 204
