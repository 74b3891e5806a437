"""Processes: they serve, stop in order, die at once, and have clocks of their own."""

import asyncio
from typing import Any

import pytest

from app.runtime.resources import Resources
from app.settings.model import Settings
from tests.simulation import process as process_module
from tests.simulation.engine import Engine
from tests.simulation.process import Process
from tests.simulation.server import Server

_HEALTH = "GET", "/health/ready"


def _announcement(number: int) -> dict[str, Any]:
    return {
        "destination": "files",
        "filename": f"Bill {number}.pdf",
        "content_type": "application/pdf",
        "size": 5,
    }


def test_a_killed_process_cuts_its_callers_and_serves_again_when_started(
    server: Server, settings: Settings
) -> None:
    engine = Engine(1, server)

    async def life() -> None:
        web = Process(engine, "web1", settings)
        await web.start()
        asking = [
            asyncio.create_task(web.request("POST", "/v1/uploads", _announcement(n)))
            for n in range(9)
        ]
        await asyncio.sleep(0.031)
        before = web.resources
        web.kill(restart_after=3)
        with pytest.raises(ConnectionRefusedError):
            await web.request(*_HEALTH)
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert any(isinstance(answer, ConnectionError) for answer in answers)
        await asyncio.sleep(5)
        assert web.resources is not before
        reply = await web.request("POST", "/v1/uploads", _announcement(10))
        assert reply.status == 201
        [stored] = server.control.fetch("SELECT count(*) FROM files")[0]
        answered = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert 1 + len(answered) <= stored <= 10

    engine.run(life())
    assert engine.logged == []


def test_a_process_that_stops_answers_first(server: Server, settings: Settings) -> None:
    engine = Engine(2, server)

    async def life() -> None:
        web = Process(engine, "web1", settings)
        await web.start()
        asking = asyncio.create_task(web.request("POST", "/v1/uploads", _announcement(1)))
        while not web._callers:  # noqa: ASYNC110 -- it has no event
            await asyncio.sleep(0.001)
        await web.stop()
        assert (await asking).status == 201
        with pytest.raises(ConnectionRefusedError):
            await web.request(*_HEALTH)

    engine.run(life())


def test_each_has_a_clock_of_its_own(server: Server, settings: Settings) -> None:
    engine = Engine(3, server)

    async def life() -> None:
        web = Process(engine, "web1", settings, clock_offset=-90)
        await web.start()
        await asyncio.sleep(3600)
        await web.request("POST", "/v1/uploads", _announcement(1))
        web.step_clock(600)
        await web.request("POST", "/v1/uploads", _announcement(2))
        rows = server.control.fetch("SELECT created_at FROM files ORDER BY created_at")
        first, second = (row[0].timestamp() for row in rows)
        assert 600 < second - first < 602
        assert -91 < first - engine.now().timestamp() < -88

    engine.run(life())


def test_a_worker_that_ends_by_itself_is_told_and_started_again(
    server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(4, server)
    begun = []

    async def work(res: Resources, stopping: asyncio.Event, every: float) -> None:
        begun.append(engine.loop.time())
        await asyncio.sleep(1)
        if len(begun) == 1:
            raise ValueError
        await stopping.wait()

    monkeypatch.setattr(process_module, "work", work)

    async def life() -> None:
        worker = Process(engine, "worker", settings, worker=True)
        await worker.start()
        await asyncio.sleep(60)
        await worker.stop()

    engine.run(life())
    assert len(begun) == 2
    assert [(who, event) for who, _, event, _ in engine.logged] == [("worker", "process_ended")]
