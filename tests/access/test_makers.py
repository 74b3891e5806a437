"""Keys and upload sessions end with the credential that has made them."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.access import api_keys, upload_sessions
from app.access.makers import MAX_LISTED
from app.core.principal import Principal, Scope
from app.models.credentials import ApiKey
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from tests.support.issuer import running_issuer
from tests.support.service import UNKNOWN_ID, bearer, key_for, log_lines, prepared, running
from tests.support.steps import slug


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        yield client


@pytest.fixture
async def boss(settings: Settings) -> dict[str, str]:
    """The key that ends others. `shop` and `ann` are names in its tenant and in another."""
    return await key_for(settings, *Scope, owner="boss", tenant="acme")


async def create(client: httpx.AsyncClient, maker: dict[str, str], **body: Any) -> dict[str, Any]:
    wanted = {"name": "made", "scopes": list(Scope)} | body
    response = await client.post("/v1/api-keys", json=wanted, headers=maker)
    assert response.status_code == 201, response.text
    return response.json()


async def mint(client: httpx.AsyncClient, maker: dict[str, str], **body: Any) -> dict[str, Any]:
    wanted = {"destination": "files"} | body
    response = await client.post("/v1/upload-sessions", json=wanted, headers=maker)
    assert response.status_code == 201, response.text
    return response.json()


async def works(client: httpx.AsyncClient, made: dict[str, Any]) -> bool:
    """Whether a key or a session is taken."""
    answer = await client.get("/v1/destinations", headers=bearer(made["token"]))
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_the_sessions_of_a_revoked_key_end_with_it(
    client: httpx.AsyncClient, boss: dict[str, str], settings: Settings
) -> None:
    shop = await create(client, boss, name="shop", owner="shop")
    other = await create(client, boss, name="other", owner="shop")
    elsewhere = await key_for(settings, *Scope, owner="shop", tenant="other")
    mine = [await mint(client, bearer(shop["token"]), owner=name) for name in ("ann", "bob")]
    assert {session["made_with"] for session in mine} == {f"key:{shop['id']}"}
    kept = [await mint(client, bearer(other["token"])), await mint(client, elsewhere)]
    for session in (*mine, *kept):
        assert await works(client, session)

    gone = await client.delete(f"/v1/api-keys/{shop['id']}", headers=boss)
    assert (gone.status_code, gone.content) == (204, b"")
    assert [await works(client, session) for session in (*mine, *kept)] == [False] * 2 + [True] * 2
    shown = await client.get(f"/v1/upload-sessions/{mine[0]['id']}", headers=boss)
    assert shown.json()["revoked_at"] is not None


async def test_a_replica_that_knows_the_session_announces_nothing_more(
    client: httpx.AsyncClient,
    boss: dict[str, str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload_sessions, "STALENESS", timedelta(minutes=5))
    shop = await create(client, boss)
    session = bearer((await mint(client, bearer(shop["token"]), max_files=9))["token"])
    body = {"destination": "files", "filename": "a", "size": 1}
    async with running(settings) as replica:
        assert (await replica.post("/v1/uploads", json=body, headers=session)).status_code == 201
        await client.delete(f"/v1/api-keys/{shop['id']}", headers=boss)
        refused = await replica.post("/v1/uploads", json=body, headers=session)
    assert slug(refused) == "upload-session-exhausted"


async def test_the_keys_it_made_are_listed_or_revoked_down_all_generations(
    client: httpx.AsyncClient, boss: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = await create(client, boss, name="first")
    second = await create(client, bearer(first["token"]), name="second")
    third = await create(client, bearer(second["token"]), name="third")
    session = await mint(client, bearer(third["token"]))
    apart = await create(client, boss, name="apart")
    assert second["made_with"] == f"key:{first['id']}"

    path = f"/v1/api-keys/{first['id']}"
    for _ in range(2):  # repeating it is no error
        listed = await client.delete(path, headers=boss)
        assert listed.status_code == 200
        body = listed.json()
        assert [key["name"] for key in body["keys"]] == ["third", "second"]
        assert (body["more"], body["sessions_ended"]) == (False, 0)
        assert "token" not in listed.text
    assert not await works(client, first)
    for made in (second, third, session, apart):
        assert await works(client, made)

    ended = (await client.delete(path, params={"made": "revoke"}, headers=boss)).json()
    assert {key["name"] for key in ended["keys"]} == {"second", "third"}
    assert all(key["revoked_at"] for key in ended["keys"])
    assert ended["sessions_ended"] == 1
    for made in (second, third, session):
        assert not await works(client, made)
    assert await works(client, apart)
    again = await client.delete(path, params={"made": "revoke"}, headers=boss)
    assert again.status_code == 204
    lines = [line for line in log_lines(caplog, "audit") if line["event"] == "key.revoked"]
    assert {line["name"] for line in lines} == {"first", "second", "third"}
    [line] = [line for line in log_lines(caplog, "audit") if line["event"] == "session.revoked"]
    assert line["session_ids"] == [session["id"]]

    wrong = await client.delete(path, params={"made": "keep"}, headers=boss)
    assert slug(wrong) == "validation-failed"
    unknown = await client.delete(f"/v1/api-keys/{UNKNOWN_ID}?made=revoke", headers=boss)
    assert slug(unknown) == "api-key-not-found"


async def test_of_very_many_keys_some_are_listed_and_all_revoked(
    settings: Settings, boss: dict[str, str], client: httpx.AsyncClient
) -> None:
    shop = await create(client, boss)
    maker = Principal("boss", "acme", frozenset(Scope), credential=f"key:{shop['id']}")
    async with open_resources(settings) as res:
        for number in range(MAX_LISTED + 5):
            await key_of(res, maker, name=f"{number}")
    path = f"/v1/api-keys/{shop['id']}"
    listed = (await client.delete(path, headers=boss)).json()
    assert (len(listed["keys"]), listed["more"]) == (MAX_LISTED, True)
    assert listed["keys"][0]["name"] == f"{MAX_LISTED + 4}"
    ended = (await client.delete(f"{path}?made=revoke", headers=boss)).json()
    assert (len(ended["keys"]), ended["more"]) == (MAX_LISTED, True)
    assert (await client.delete(path, headers=boss)).status_code == 204


async def key_of(res: Resources, maker: Principal, name: str = "made", **how: Any) -> ApiKey:
    wanted = {"owner": maker.owner, "scopes": ["files:read"], "lifetime": None} | how
    key, _ = await api_keys.create(res, maker, name=name, **wanted)
    return key


async def test_what_is_made_while_its_maker_is_revoked_is_not_left_behind(
    client: httpx.AsyncClient,
    boss: dict[str, str],
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process believes a key for seconds after another one has revoked it."""
    monkeypatch.setattr(api_keys, "STALENESS", timedelta(minutes=5))
    shop = await create(client, boss)
    maker = bearer(shop["token"])
    assert await works(client, shop)
    body = {"name": "late", "scopes": ["files:read"]}
    async with db.transaction():
        await db.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", shop["id"])
        late = [
            asyncio.create_task(client.post("/v1/api-keys", json=body, headers=maker)),
            asyncio.create_task(
                client.post("/v1/upload-sessions", json={"destination": "files"}, headers=maker)
            ),
        ]
        while await db.fetchval(_WAITING) < len(late):
            await db.execute("SELECT pg_stat_clear_snapshot()")
            assert not any(task.done() for task in late)
            await asyncio.sleep(0.01)
    for answer in await asyncio.gather(*late):
        assert (answer.status_code, slug(answer)) == (401, "invalid-token")
    listed = (await client.get("/v1/api-keys", headers=boss)).json()["items"]
    assert "late" not in {key["name"] for key in listed}


_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'
"""


# --- Their ends


async def test_a_key_and_a_session_end_no_later_than_their_maker(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    maker = await key_for(settings, *Scope, lifetime=timedelta(minutes=10))
    [shown] = (await client.get("/v1/api-keys", headers=maker)).json()["items"]
    end = shown["expires_at"]
    for days in (None, 1, 3650):
        assert (await create(client, maker, expires_in_days=days))["expires_at"] == end
    assert (await create(client, maker))["expires_at"] == end
    assert (await mint(client, maker, expires_in=604_800))["expires_at"] == end
    short = await mint(client, maker, expires_in=60)
    assert short["expires_at"] < end
    # And so down all the generations.
    heir = await create(client, maker)
    assert (await create(client, bearer(heir["token"])))["expires_at"] == end
    # Who has no end of their own makes what has none.
    endless = await key_for(settings, *Scope)
    assert (await create(client, endless, expires_in_days=None))["expires_at"] is None


async def test_a_short_lived_token_makes_no_endless_key(environ: dict[str, str]) -> None:
    async with running_issuer() as issuer:
        environ = environ | issuer.environ()
        claims = {"scope": " ".join(Scope), "exp": int(time.time()) + 900}
        for more, is_bound in (({}, True), ({"CLAIMCHECK_OUTLIVE_MAKER": "true"}, False)):
            async with running(await prepared(environ | more)) as client:
                ann = issuer.bearer(**claims)
                key = await create(client, ann, expires_in_days=None)
                year = await create(client, ann)
                session = await mint(client, ann, expires_in=604_800)
            assert {key["made_with"], session["made_with"]} == {"jwt"}
            assert (key["expires_at"] is not None) is is_bound
            for made in (key, year, session) if is_bound else ():
                end = datetime.fromisoformat(made["expires_at"]).timestamp()
                assert end == claims["exp"]
            if not is_bound:
                assert datetime.fromisoformat(year["expires_at"]).timestamp() > claims["exp"] + 1e6


async def test_a_token_in_its_leeway_makes_nothing(environ: dict[str, str]) -> None:
    """It is taken for some seconds more, because clocks differ; what it made would be born dead."""
    async with running_issuer() as issuer:
        settings = await prepared(environ | issuer.environ(CLAIMCHECK_JWT__LEEWAY="60"))
        async with running(settings) as client:
            ann = issuer.bearer(scope=" ".join(Scope), exp=int(time.time()) - 1)
            answer = await client.post(
                "/v1/upload-sessions", json={"destination": "files"}, headers=ann
            )
    assert (answer.status_code, slug(answer)) == (401, "invalid-token")


# --- Lists of sessions


async def test_sessions_are_listed_for_who_made_them_in_pages(
    client: httpx.AsyncClient, settings: Settings, boss: dict[str, str]
) -> None:
    narrow = ("sessions:mint", "uploads:write")
    shop = await key_for(settings, *narrow, owner="shop", tenant="acme")
    other = await key_for(settings, *narrow, owner="other", tenant="acme")
    elsewhere = await key_for(settings, *narrow, owner="shop", tenant="other")
    made = [(await mint(client, shop, owner="ann"))["id"] for _ in range(5)]
    theirs = (await mint(client, other, owner="shop"))["id"]
    far = (await mint(client, elsewhere))["id"]
    await client.delete(f"/v1/upload-sessions/{made[0]}", headers=shop)

    async def walk(headers: dict[str, str]) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = await client.get("/v1/upload-sessions", params=query, headers=headers)
            assert page.status_code == 200, page.text
            assert "token" not in page.text
            assert len(page.json()["items"]) <= 2
            seen += page.json()["items"]
            if page.json()["next_cursor"] is None:
                return seen
            query["cursor"] = page.json()["next_cursor"]
            for stranger in (other, elsewhere, boss):
                refused = await client.get("/v1/upload-sessions", params=query, headers=stranger)
                assert slug(refused) == "invalid-cursor"

    seen = await walk(shop)
    assert [one["id"] for one in seen] == made[::-1]
    assert [one["revoked_at"] is None for one in seen] == [True] * 4 + [False]
    for headers, ids in ((elsewhere, [far]), (boss, [theirs, *made[::-1]])):
        page = (await client.get("/v1/upload-sessions", headers=headers)).json()
        assert [one["id"] for one in page["items"]] == ids
    for scopes in (("uploads:write",), [scope for scope in Scope if scope != "sessions:mint"]):
        refused = await client.get(
            "/v1/upload-sessions",
            headers=await key_for(settings, *scopes, owner="shop", tenant="acme"),
        )
        assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")
    for query in ({"limit": "0"}, {"limit": "101"}, {"cursor": "x"}, {"owner": "ann"}):
        refused = await client.get("/v1/upload-sessions", params=query, headers=shop)
        assert slug(refused) in {"validation-failed", "invalid-cursor"}
