"""A receiver hears of a thousand confirms, with a worker beside the service."""

import asyncio
import statistics
import time
from pathlib import Path

import httpx
import pytest
from aiohttp import web as aiohttp_web

from app.runtime.resources import Resources
from tests.events.steps import hook, worker
from tests.support.receiver import Receiver, receiver
from tests.support.service import prepared, served
from tests.support.steps import announced, send

CONFIRMS = 1000
AT_ONCE = 4


@pytest.mark.slow
async def test_each_confirm_is_heard_of(
    res: Resources, environ: dict[str, str], web: httpx.AsyncClient, tmp_path: Path
) -> None:
    """How soon is printed (`-s`): from a confirm's answer to the verified webhook, in the median,
    beside the median of a confirm in the same run.
    """
    heard: dict[str, float] = {}

    async def note(request: aiohttp_web.Request, _: Receiver) -> aiohttp_web.StreamResponse:
        heard[(await request.json())["data"]["id"]] = time.monotonic()
        return aiohttp_web.Response(status=204)

    await prepared(environ)
    took: list[float] = []
    answered: dict[str, float] = {}
    async with (
        receiver(note) as ear,
        served(environ, tmp_path / "service.log") as service,
        worker(environ, tmp_path / "worker.log"),
    ):
        await hook(res, ear)
        slots = asyncio.Semaphore(AT_ONCE)

        async def upload() -> None:
            async with slots:
                made = await announced(service.client, b"hello", "a.txt")
                assert (await send(web, made["upload"], b"hello")).is_success
                began = time.monotonic()
                response = await service.client.post(f"/v1/uploads/{made['id']}/confirm")
                assert response.status_code == 200, response.text
                answered[made["id"]] = time.monotonic()
                took.append(answered[made["id"]] - began)

        await asyncio.gather(*(upload() for _ in range(CONFIRMS)))
        async with asyncio.timeout(120):
            await ear.has_taken(CONFIRMS)
    assert heard.keys() == answered.keys()
    later = statistics.median(heard[one] - answered[one] for one in answered)
    confirm = statistics.median(took)
    print(f"\nconfirm {confirm * 1000:.1f} ms, heard of {later * 1000:.1f} ms later")  # noqa: T201
