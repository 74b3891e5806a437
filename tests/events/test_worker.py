"""`claimcheck worker` as a process of its own, killed at the worst moments, and a lost database."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from app.core.principal import DEV
from app.events import webhooks
from app.events.deliver import LEASE, delivering
from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings
from tests.events.steps import confirm, deliver, heard, hook, release, states, worker
from tests.support.killable_postgres import killable_postgres
from tests.support.receiver import Receiver, receiver
from tests.support.service import Clock


class Killer:
    """Kills the worker as soon as its request is there: before it is answered, or right after."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.worker: asyncio.subprocess.Process | None = None

    async def __call__(self, request: web.Request, ear: Receiver) -> web.StreamResponse:
        response = web.StreamResponse(status=204)
        if self.answers:
            await response.prepare(request)
            await response.write_eof()
        assert self.worker is not None
        self.worker.kill()
        await self.worker.wait()
        return response


@pytest.mark.parametrize("moment", ["before it sends", "before the answer", "before it is written"])
async def test_killed_between_claim_send_and_commit(
    res: Resources,
    db: asyncpg.Connection,
    environ: dict[str, str],
    clock: Clock,
    tmp_path: Path,
    moment: str,
) -> None:
    """Nothing is lost, and the file's events come in their order, whoever was killed when."""
    killer = Killer(answers=moment == "before it is written")
    async with receiver(killer) as ear:
        webhook = await hook(res, ear)
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            if moment == "before it sends":
                # It connects, and sends nothing as long as nobody shakes hands with it.
                url = f"https://127.0.0.1:{deaf.getsockname()[1]}/"
                await webhooks.change(res, DEV, webhook.id, {"url": url})
            files = await confirm(res)
            await release(res, *files)
            async with worker(environ, tmp_path / "log") as killer.worker:
                if moment == "before it sends":
                    query = "SELECT count(*) FROM deliveries WHERE due_at > $1"
                    while not await db.fetchval(  # noqa: ASYNC110 -- another process is waited for
                        query, res.clock() + timedelta(seconds=9)
                    ):
                        await asyncio.sleep(0.05)
                    killer.worker.kill()
                await killer.worker.wait()
        assert (await states(db, webhook))["pending"] == 2
        await webhooks.change(res, DEV, webhook.id, {"url": ear.url})
        assert ear.asked == (moment != "before it sends")
        ear.taken.clear()
        ear.answer = accepting
        assert await deliver(res) == {}
        clock.ahead += 2 * LEASE
        assert await deliver(res) == {"delivered": 2}
        assert [kind for kind, _ in heard(ear)] == ["file.confirmed", "file.released"]


async def accepting(_: web.Request, __: Receiver) -> web.StreamResponse:
    return web.Response(status=204)


async def test_connections_to_the_database_that_are_lost(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    async with receiver() as ear:
        webhook = await hook(res, ear)
        files = await confirm(res, 100)
        await release(res, *files)
        stopping = asyncio.Event()
        async with delivering(res) as deliverer:
            running = asyncio.create_task(deliverer.run(stopping))
            for count in (10, 60, 110):
                await ear.has_taken(count)
                await db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            # Whose outcome was not written, their leases lapse.
            clock.ahead += 2 * LEASE
            while (await states(db, webhook))["pending"]:  # noqa: ASYNC110 -- rows are
                await asyncio.sleep(0.05)
            stopping.set()
            await running
        assert len(set(ear.ids)) == 200
        for file in files:
            kinds = [kind for kind, file_id in heard(ear) if file_id == str(file.id)]
            assert kinds == sorted(kinds)


async def test_a_database_that_is_killed_and_starts_again(
    environ: dict[str, str], clock: Clock
) -> None:
    async with killable_postgres() as server, receiver() as ear:
        settings = load_settings(environ | {"DATABASE_URL": server.url})
        async with open_resources(settings, clock=clock) as res, delivering(res) as deliverer:
            await hook(res, ear)
            files = await confirm(res, 100)
            await release(res, *files)
            stopping = asyncio.Event()
            running = asyncio.create_task(deliverer.run(stopping))
            for count in (10, 60):
                await ear.has_taken(count)
                server.kill()
                server.start()
                await server.is_up()
                clock.ahead += 2 * LEASE
            while len(set(ear.ids)) < 200:  # noqa: ASYNC110 -- the same may come twice
                await asyncio.sleep(0.05)
            stopping.set()
            await running
        for file in files:
            kinds = [kind for kind, file_id in heard(ear) if file_id == str(file.id)]
            assert kinds == sorted(kinds)
            assert len(set(kinds)) == 2
