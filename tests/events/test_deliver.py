"""Webhooks arrive signed, in order, and once more where the receiver failed."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import pytest
from aiohttp import web

from app.core.principal import DEV
from app.db import deliveries as db_deliveries
from app.db import events as db_events
from app.events import webhooks
from app.events.deliver import FAILING_FOR, LEASE, delivering
from app.events.purge import purge_events
from app.events.sequence import sequence
from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings
from tests.events.steps import DAY, confirm, deliver, ended, heard, hook, release, states
from tests.support.receiver import Receiver, receiver
from tests.support.service import Clock


class Answers:
    """Answers with these statuses, one after another; then with the last for ever."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.statuses, self.headers = list(statuses), headers

    async def __call__(self, _: web.Request, __: Receiver) -> web.StreamResponse:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers=self.headers)


async def test_a_confirmed_file_arrives_signed(res: Resources, db: asyncpg.Connection) -> None:
    async with receiver() as ear:
        webhook = await hook(res, ear)
        [file] = await confirm(res)
        assert await deliver(res) == {"delivered": 1}
        [event] = await db.fetch("SELECT event_id, created_at FROM events")
        assert ear.ids == [str(event["event_id"])]
        [payload] = ear.taken
        assert set(payload) == {"type", "timestamp", "data"}
        assert payload["type"] == "file.confirmed"
        assert payload["data"]["id"] == str(file.id)
        assert payload["data"]["filename"] == file.filename
        assert "presigned_url" not in payload["data"]
        assert await states(db, webhook) == {"delivered": 1}
        assert await deliver(res) == {}


async def test_nothing_is_written_where_no_webhook_is_on(
    res: Resources, db: asyncpg.Connection
) -> None:
    async with receiver() as ear:
        webhook = await hook(res, ear, enabled=False)
        await confirm(res)
        await webhooks.change(res, DEV, webhook.id, {"enabled": True})
        await confirm(res)
        await webhooks.change(res, DEV, webhook.id, {"enabled": False})
        await confirm(res)
        await webhooks.delete(res, DEV, webhook.id)
        await confirm(res)
    assert await db.fetchval("SELECT count(*) FROM events") == 1


async def test_types_destinations_and_tenants_narrow(res: Resources) -> None:
    async with receiver() as all_, receiver() as released, receiver() as images:
        await hook(res, all_)
        await hook(res, released, types=["file.released"])
        await hook(res, images, destinations=["images"])
        other = await confirm(res, destination="files")
        await confirm(res, tenant="other")
        await release(res, *other)
        picture = await confirm(res)
        await deliver(res)
        one, two = str(other[0].id), str(picture[0].id)
        assert sorted(heard(all_)) == sorted(
            [("file.confirmed", one), ("file.released", one), ("file.confirmed", two)]
        )
        assert heard(released) == [("file.released", one)]
        assert heard(images) == [("file.confirmed", two)]


async def test_a_failed_try_holds_up_its_own_file_alone(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    clock.stop()  # for the next try is due after some seconds
    async with receiver(Answers(500, 204)) as ear:
        webhook = await hook(res, ear)
        first = await confirm(res)
        async with delivering(res) as deliverer:
            assert await deliverer.run_once(asyncio.Event()) == {"failed": 1}
        await release(res, *first)
        second = await confirm(res)
        assert await deliver(res) == {"delivered": 1}
        assert heard(ear) == [("file.confirmed", str(second[0].id))]
        row = await db.fetchrow("SELECT * FROM deliveries WHERE failures > 0")
        assert row is not None
        assert (row["status"], row["error"]) == (500, "It answered 500.")
        clock.ahead += timedelta(seconds=7)
        assert await deliver(res) == {"delivered": 2}
        assert [kind for kind, _ in heard(ear)[1:]] == ["file.confirmed", "file.released"]
        assert await states(db, webhook) == {"delivered": 3}


async def test_retry_after_is_honoured(res: Resources, clock: Clock) -> None:
    async with receiver(Answers(503, 204, headers={"Retry-After": "3600"})) as ear:
        await hook(res, ear)
        await confirm(res)
        assert await deliver(res) == {"failed": 1}
        clock.ahead += timedelta(minutes=50)
        assert await deliver(res) == {}
        clock.ahead += timedelta(minutes=30)
        assert await deliver(res) == {"delivered": 1}


async def test_dead_letters_stay_and_are_sent_again(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    async with receiver(Answers(500)) as ear:
        webhook = await hook(res, ear)
        before = res.clock()
        await confirm(res, 2)
        for _ in range(10):
            assert (await deliver(res))["failed"] == 2
            clock.ahead += DAY * 1.3
            # That it fails all the time is another test's.
            await db.execute("UPDATE webhooks SET failing_since = NULL")
        assert await states(db, webhook) == {"dead": 2}
        assert await deliver(res) == {}
        ear.answer = Answers(204)
        assert await webhooks.resend_dead(res, DEV, webhook.id, since=res.clock()) == 0
        assert await webhooks.resend_dead(res, DEV, webhook.id, since=before) == 2
        assert await deliver(res) == {"delivered": 2}
        [event_id, _] = ear.ids
        await webhooks.resend(res, DEV, webhook.id, event_id=event_id)
        assert await deliver(res) == {"delivered": 1}
        assert ear.ids[2] == event_id


async def test_gone_ends_the_webhook(res: Resources, db: asyncpg.Connection) -> None:
    async with receiver(Answers(410)) as ear, receiver() as other:
        webhook = await hook(res, ear)
        await hook(res, other, types=["webhook.disabled"])
        await confirm(res)
        await deliver(res)
        assert await ended(db, webhook.id) == "gone"
        await confirm(res)
        await deliver(res)
        assert ear.asked == 1
        assert [each["data"] for each in other.taken] == [
            {"id": str(webhook.id), "url": ear.url, "ended": "gone"}
        ]


async def test_five_days_of_failure_switch_it_off(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    async with receiver(Answers(500)) as ear, receiver() as other:
        webhook = await hook(res, ear, types=["file.confirmed"])
        await hook(res, other, types=["webhook.disabled"])
        await confirm(res)
        await deliver(res)
        clock.ahead += FAILING_FOR - DAY
        await confirm(res)
        await deliver(res)
        assert await ended(db, webhook.id) is None
        clock.ahead += 2 * DAY
        await confirm(res)
        await deliver(res)
        await deliver(res)
        assert await ended(db, webhook.id) == "failing"
        assert [each["data"]["ended"] for each in other.taken] == ["failing"]
        # Switched on again, it goes on with what it had not taken.
        ear.answer = Answers(204)
        await webhooks.change(res, DEV, webhook.id, {"enabled": True})
        clock.ahead += DAY
        await deliver(res)
        assert len(ear.taken) == 3


async def test_one_success_is_enough_to_stay_on(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    async with receiver(Answers(500, 204, 500)) as ear:
        webhook = await hook(res, ear)
        for _ in range(4):
            await confirm(res)
            await deliver(res)
            clock.ahead += FAILING_FOR / 2
        assert await ended(db, webhook.id) is None


async def test_both_secrets_sign_during_a_rotation(res: Resources, clock: Clock) -> None:
    async with receiver() as ear:
        webhook = await hook(res, ear)
        old = ear.secret
        _, new = await webhooks.rotate_secret(res, DEV, webhook.id, timedelta(hours=1))
        assert new != old
        for secret in (old, new):
            ear.secret = secret
            await confirm(res)
            assert await deliver(res) == {"delivered": 1}
        clock.ahead += timedelta(hours=2)
        ear.secret = None
        await confirm(res)
        await deliver(res)
        assert [len(each.split()) for each in ear.signatures] == [2, 2, 1]


async def test_nothing_is_sent_with_another_secret_key(
    res: Resources, db: asyncpg.Connection, environ: dict[str, str]
) -> None:
    async with receiver() as ear:
        await hook(res, ear)
        await confirm(res)
        settings = load_settings(environ | {"CLAIMCHECK_SECRET_KEY": "another" * 8})
        async with open_resources(settings) as other:
            assert await deliver(other) == {"failed": 1}
        assert ear.asked == 0
        error = await db.fetchval("SELECT error FROM deliveries")
        assert "rotate-secret" in error


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No try is given up, if its lease does not end: on a machine that stands still."""
    monkeypatch.setattr("app.events.send.TRY_SECONDS", LEASE.total_seconds() - 2)


@pytest.mark.usefixtures("patient")
async def test_a_webhook_that_hangs_holds_up_no_other(res: Resources) -> None:
    hanging = asyncio.Event()

    async def hang(request: web.Request, ear: Receiver) -> web.StreamResponse:
        await hanging.wait()
        return web.Response()

    async with receiver(hang) as dead, receiver() as ear:
        await hook(res, dead)
        await hook(res, ear)
        stopping = asyncio.Event()
        async with delivering(res) as deliverer:
            running = asyncio.create_task(deliverer.run(stopping))
            await confirm(res, 300)
            await asyncio.wait_for(ear.has_taken(300), 240)
            # Far fewer than there are: it has not answered one.
            assert dead.asked <= 8
            hanging.set()
            await asyncio.wait_for(dead.has_taken(300), 240)
            stopping.set()
            await running


@pytest.mark.usefixtures("patient")
async def test_two_deliver_each_once_and_in_order(res: Resources, db: asyncpg.Connection) -> None:
    async with receiver() as ear:
        webhook = await hook(res, ear)
        stopping = asyncio.Event()
        async with delivering(res) as one, delivering(res) as two:
            running = [asyncio.create_task(each.run(stopping)) for each in (one, two)]
            files = []
            for _ in range(10):
                files += await confirm(res, 20)
                await release(res, *files[-20:])
            await asyncio.wait_for(ear.has_taken(400), 240)
            stopping.set()
            await asyncio.gather(*running)
        assert await states(db, webhook) == {"delivered": 400}
        assert len(set(ear.ids)) == len(ear.ids) == 400
        for file in files:
            kinds = [kind for kind, file_id in heard(ear) if file_id == str(file.id)]
            assert kinds == ["file.confirmed", "file.released"]


@pytest.mark.parametrize("ahead", [timedelta(), LEASE * 2])
async def test_a_claim_that_nobody_ends_lapses(
    res: Resources, db: asyncpg.Connection, clock: Clock, ahead: timedelta
) -> None:
    async with receiver() as ear:
        await hook(res, ear)
        files = await confirm(res)
        await release(res, *files)
        await sequence(res)
        now = res.clock()
        claim = await db_deliveries.claim(db, now, now + LEASE, {}, most=8, total=8)
        assert len(claim.claimed) == 1
        clock.ahead += ahead
        taken = 2 if ahead else 0
        assert (await deliver(res))["delivered"] == taken
        assert [kind for kind, _ in heard(ear)] == ["file.confirmed", "file.released"][:taken]


async def test_what_waits_for_a_webhook_is_not_purged(
    res: Resources, db: asyncpg.Connection, clock: Clock
) -> None:
    async with receiver() as ear, receiver(Answers(500)) as deaf:
        await hook(res, ear)
        failing = await hook(res, deaf)
        await confirm(res, 3)
        await deliver(res)
        clock.ahead += 31 * DAY
        await purge_events(res)
        assert await db.fetchval("SELECT count(*) FROM events") == 3
        deaf.answer = Answers(204)
        await deliver(res)
        assert len(deaf.taken) == 3
        await confirm(res)
        await purge_events(res)
        assert await db.fetchval("SELECT count(*) FROM events") == 1
        assert (await states(db, failing)).total() == 1
        # For one that is off nothing is kept longer.
        await webhooks.change(res, DEV, failing.id, {"enabled": False})
        clock.ahead += 31 * DAY
        await deliver(res)
        await purge_events(res)
        assert (await states(db, failing)).total() == 0


async def test_places_are_given_without_a_look_back_for_each(
    res: Resources, db: asyncpg.Connection
) -> None:
    """The highest position of before is looked for once a tenant, not once an event."""
    async with receiver() as ear:
        await hook(res, ear)
        await confirm(res)
        await db.execute(
            "INSERT INTO events (event_id, type, tenant, owner, subject, created_at, data) "
            "SELECT gen_random_uuid(), type, tenant, owner, subject, created_at, data "
            "FROM events, generate_series(1, 999)"
        )
        sql, _ = db_events._GIVE_POSITIONS.written()
        [row] = await db.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", 0, 1000)
        plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
        blocks = plan[0]["Plan"]["Shared Hit Blocks"]
        assert blocks < 30_000
