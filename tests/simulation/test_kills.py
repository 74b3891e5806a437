"""A process that dies at any seam of a confirm leaves no lock, and nothing half done."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest

import app.runtime.resources
from app.settings.model import Settings
from tests.simulation.engine import Engine
from tests.simulation.faults import Fault
from tests.simulation.loop import owner
from tests.simulation.process import Process, Reply
from tests.simulation.server import Server
from tests.simulation.store.body import Body
from tests.simulation.store.keys import Key
from tests.simulation.store.manners import ALL
from tests.simulation.store.service_door import opener
from tests.simulation.store.simulated import Store

_PDF = b"%PDF-1.7\n" + b"0" * 500


class World(Engine):
    """One web process, and the store it works with."""

    def __init__(self, server: Server, settings: Settings, *faults: Fault) -> None:
        super().__init__(1, server, list(faults))
        self.faults.on = False
        # Whose passages at which kind of seam, in their order, once faults are on.
        self.passed: list[tuple[str, str]] = []
        self.store = Store(ALL["aws"], clock=self.now, seam=self.seam)
        self.store.add_bucket("bucket", versioned=True)
        assert settings.aws_access_key_id is not None
        assert settings.aws_secret_access_key is not None
        self.store.add_key(
            settings.aws_access_key_id, Key(settings.aws_secret_access_key.get_secret_value())
        )
        self.web = Process(self, "web1", settings)

    def patches(self) -> Iterable[tuple[Any, str, Any]]:
        yield app.runtime.resources, "open_buckets", opener(self.store, owner.get, _clock)

    async def seam(
        self,
        process: Process | None,
        kind: str,
        name: str,
        effect: Callable[[], Any],
        who: str = "",
    ) -> Any:
        if self.faults.on and process is self.web:
            self.passed.append((kind, name))
        return await super().seam(process, kind, name, effect, who)

    async def upload(self) -> str:
        """Announce a file, and bring its bytes to the bucket."""
        announcement = {
            "destination": "files",
            "filename": "Bill.pdf",
            "content_type": "application/pdf",
            "size": len(_PDF),
        }
        reply = await self.web.request("POST", "/v1/uploads", announcement)
        assert reply.status == 201, reply.json
        how = reply.json["upload"]
        body, form = Body.real(_PDF), how.get("fields")
        sent = await self.store.browser(
            how["method"], how["url"], how.get("headers", {}), body, form=form, who="browser"
        )
        assert sent.status < 300, sent.text
        return str(reply.json["id"])

    async def confirm(self, file_id: str) -> Reply:
        return await self.web.request("POST", f"/v1/uploads/{file_id}/confirm")

    def row(self) -> Any:
        return self.server.control.fetch("SELECT * FROM files")[0]

    def events(self) -> Counter[str]:
        return Counter(row[0] for row in self.server.control.fetch("SELECT type FROM events"))


def _clock() -> Callable[[], datetime]:
    process = owner.get()
    assert isinstance(process, Process)
    return process.clock


async def _life(world: World) -> None:
    """Confirm where the process may die, then again where it does not."""
    await world.web.start()
    # Somebody reads the feed, so that events are written.
    assert (await world.web.request("GET", "/v1/events")).status == 200
    file_id = await world.upload()
    world.faults.on = True
    try:
        first = (await world.confirm(file_id)).status
    except ConnectionError:
        first = 0
    await asyncio.sleep(60)
    world.faults.on = False
    assert world.web.running
    left = world.server.control.fetch(
        "SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    )
    assert left == []
    between = world.row()["state"], world.events()["file.confirmed"]
    assert between in {("pending", 0), ("confirmed", 1)}
    if first == 200:
        assert between == ("confirmed", 1)
    again = await world.confirm(file_id)
    assert again.status == 200, again.json
    assert again.json["state"] == "confirmed"
    assert world.row()["state"] == "confirmed"
    assert world.events()["file.confirmed"] == 1


def _passages(server: Server, settings: Settings) -> list[tuple[str, str]]:
    world = World(server, settings)
    world.run(_life(world))
    return world.passed


@pytest.mark.parametrize("outcome", ["kill_before", "kill_after", "after"])
def test_a_confirm_withstands_it_at_each_seam(
    server: Server, settings: Settings, outcome: Any
) -> None:
    passed = _passages(server, settings)
    kinds = Counter(kind for kind, _ in passed)
    assert kinds["store"] >= 1
    assert kinds["database"] >= 2
    met = 0
    for kind, count in sorted(kinds.items()):
        for at in range(1, count + 1):
            world = World(server, settings, Fault(outcome, kind, "web1", at=at, seconds=5))
            world.run(_life(world))
            met += any("meets a fault" in line for line in world.story.lines)
    assert met == len(passed)
