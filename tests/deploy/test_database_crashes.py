"""PostgreSQL that is killed at any moment, again and again, under load."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import httpx
import pytest

from tests.support.killable_postgres import Server, killable_postgres
from tests.support.service import SESSION_SECRET, Store, prepared, running
from tests.support.steps import send

_CALLERS: Final = 16


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with killable_postgres() as server:
        yield server


class Load:
    """Callers who announce, send, confirm, read and list, and note each answer."""

    def __init__(self, client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
        self._client, self._web = client, web
        self.answers: Counter[int] = Counter()
        self.confirmed: set[str] = set()
        self.wrong: list[str] = []
        self.ended = asyncio.Event()

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._client.request(method, path, **options)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    async def caller(self, number: int) -> None:
        headers = {"content-type": "application/json"}
        while not self.ended.is_set():
            body = {"destination": "files", "filename": f"{number}.txt", "size": 5}
            answer = await self._ask("POST", "/v1/uploads", json=body, headers=headers)
            if answer.status_code != 201:
                continue
            upload = answer.json()
            if number % 4 == 0:
                await self._ask("DELETE", f"/v1/uploads/{upload['id']}")
                continue
            assert (await send(self._web, upload["upload"], b"hello")).is_success
            for _ in range(3):
                answer = await self._ask("POST", f"/v1/uploads/{upload['id']}/confirm")
                if answer.status_code == 200:
                    self.confirmed.add(upload["id"])
                    break
            await self._ask("GET", "/v1/files")
            await self._ask("GET", f"/v1/files/{upload['id']}")
            await self._ask("GET", "/readyz")


async def crashes(server: Server, gate: Store, web: httpx.AsyncClient, times: int) -> Load:
    settings = await prepared(
        {
            "DATABASE_URL": server.url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
            **gate.environ(f"test-{secrets.token_hex(6)}"),
        }
    )
    dice = random.Random(7)
    async with running(settings) as client:
        load = Load(client, web)
        callers = [asyncio.create_task(load.caller(number)) for number in range(_CALLERS)]
        try:
            for number in range(times):
                # Enough answers that the load is under way again, then any moment.
                before = load.answers[200] + load.answers[201]
                while load.answers[200] + load.answers[201] < before + 8:
                    await asyncio.sleep(0.01)
                    assert not any(task.done() for task in callers)
                await asyncio.sleep(dice.random() / 10)
                if number % 10 == 0:
                    print(number, load.answers, len(load.confirmed), flush=True)  # noqa: T201
                if number % 2:
                    server.kill_one(dice)
                else:
                    await asyncio.to_thread(server.kill)
                    server.start()
                await server.is_up()
        finally:
            load.ended.set()
            await asyncio.gather(*callers)
        assert load.wrong == []
        db = await asyncpg.connect(server.url)
        found = await db.fetch("SELECT id::text, state FROM files")
        await db.close()
        states = {row["id"]: row["state"] for row in found}
        assert {states.get(one) for one in load.confirmed} == {"confirmed"}
    return load


async def test_a_database_that_is_killed_thrice(
    server: Server, gate: Store, web: httpx.AsyncClient
) -> None:
    load = await crashes(server, gate, web, 3)
    assert load.answers[503]


@pytest.mark.slow
async def test_a_database_that_is_killed_a_hundred_times(
    server: Server, gate: Store, web: httpx.AsyncClient
) -> None:
    """No answer is 500, and nothing that was confirmed is lost."""
    load = await crashes(server, gate, web, 100)
    print(load.answers, len(load.confirmed))  # noqa: T201 (the figures, with pytest -s)
