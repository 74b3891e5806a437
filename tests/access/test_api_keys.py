"""API keys: made, used, listed and revoked, by the API and on the command line."""

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import api_keys
from app.access.api_keys import STALENESS
from app.core.opaque_tokens import KEY_PREFIX, RANDOM_BYTES, SESSION_PREFIX, is_token, make_token
from app.core.principal import Scope
from app.settings.model import Settings
from tests.support.service import UNKNOWN_ID, Clock, bearer, key_for, prepared, running
from tests.support.steps import minted, slug


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})


@pytest.fixture
async def client(settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings, clock=clock) as client:
        yield client


@pytest.fixture
async def admin(settings: Settings) -> dict[str, str]:
    return await key_for(settings, "admin", "files:read", owner="ann", tenant="acme")


async def create(client: httpx.AsyncClient, admin: dict[str, str], **body: Any) -> dict[str, Any]:
    wanted = {"name": "back end", "scopes": ["files:read"]} | body
    response = await client.post("/v1/api-keys", json=wanted, headers=admin)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/v1/api-keys/{response.json()['id']}"
    return response.json()


async def status(client: httpx.AsyncClient, token: str) -> int:
    response = await client.get("/v1/files", headers=bearer(token))
    if response.status_code == 401:
        assert slug(response) == "invalid-token"
        assert token not in response.text
    return response.status_code


async def test_a_key_is_shown_once_and_stored_as_its_hash(
    client: httpx.AsyncClient, admin: dict[str, str], database_url: str
) -> None:
    made = await create(client, admin)
    token = made.pop("token")
    assert re.fullmatch(r"claimcheck_key_[A-Za-z0-9_-]{43}", token)
    assert (made["owner"], made["tenant"], made["created_by"]) == ("ann", "acme", "ann")
    days = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert days == timedelta(days=365)
    assert await status(client, token) == 200

    listed = (await client.get("/v1/api-keys", headers=admin)).json()["items"]
    assert made["id"] in {key["id"] for key in listed}
    assert "token" not in str(listed)
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT k.token_hash, k::text AS row FROM api_keys k")
    await connection.close()
    assert hashlib.sha256(token.encode()).digest() in {row["token_hash"] for row in rows}
    secret = token.removeprefix(KEY_PREFIX)
    assert not [row for row in rows if secret in row["row"]]


async def test_keys_hold_no_more_than_their_maker(
    client: httpx.AsyncClient, admin: dict[str, str], settings: Settings
) -> None:
    for scopes in (["files:delete"], ["files:read", "files:all"], ["sessions:mint"], ["nonsense"]):
        body = {"name": "more", "scopes": scopes}
        response = await client.post("/v1/api-keys", json=body, headers=admin)
        assert (response.status_code, slug(response)) == (403, "scope-not-grantable")
        assert response.json()["scopes"] == sorted(set(scopes) - {"files:read"})
    # What one cannot see by oneself one cannot see through a key for somebody else either.
    body = {"name": "bob's", "scopes": ["files:read"], "owner": "bob"}
    response = await client.post("/v1/api-keys", json=body, headers=admin)
    assert (response.status_code, slug(response)) == (403, "scope-not-grantable")

    # And so down all the generations.
    heir = bearer((await create(client, admin, scopes=["admin"]))["token"])
    body = {"name": "grandchild", "scopes": ["files:read"]}
    response = await client.post("/v1/api-keys", json=body, headers=heir)
    assert slug(response) == "scope-not-grantable"

    boss = await key_for(settings, "admin", "files:read", "files:all", owner="boss", tenant="acme")
    made = await create(client, boss, owner="bob")
    assert (made["owner"], made["tenant"], made["created_by"]) == ("bob", "acme", "boss")
    # An upload session makes nothing at all.
    mint = await key_for(settings, "sessions:mint")
    session = await minted(_with(client, mint), destination="files")
    response = await client.post("/v1/api-keys", json=body, headers=bearer(session["token"]))
    assert slug(response) == "insufficient-scope"


def _with(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.AsyncClient:
    """A client of that service, with a credential by default."""
    return httpx.AsyncClient(transport=client._transport, base_url=client.base_url, headers=headers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 256},
        {"name": None},
        {"scopes": []},
        {"scopes": "files:read"},
        {"scopes": ["x" * 101]},
        {"scopes": ["files:read"] * 51},
        {"owner": ""},
        {"owner": "a\x00b"},
        {"expires_in_days": 0},
        {"expires_in_days": 3651},
        {"expires_in_days": 1.5},
        {"expires_in_days": True},
        {"tenant": "other"},
        {"token": "mine"},
    ],
)
async def test_what_is_no_key_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], wrong: dict[str, Any]
) -> None:
    body = {"name": "back end", "scopes": ["files:read"]} | wrong
    response = await client.post("/v1/api-keys", json=body, headers=admin)
    assert (response.status_code, slug(response)) == (422, "validation-failed")


async def test_a_revoked_key_ends_here_at_once_and_elsewhere_soon(
    client: httpx.AsyncClient, admin: dict[str, str], settings: Settings, clock: Clock
) -> None:
    made = await create(client, admin)
    async with running(settings, clock=clock) as elsewhere:
        for replica in (client, elsewhere):
            assert await status(replica, made["token"]) == 200
        for _ in range(2):
            gone = await client.delete(f"/v1/api-keys/{made['id']}", headers=admin)
            assert gone.status_code == 204
        assert await status(client, made["token"]) == 401
        clock.ahead = STALENESS
        assert await status(elsewhere, made["token"]) == 401
    listed = (await client.get("/v1/api-keys", headers=admin)).json()["items"]
    [shown] = [key for key in listed if key["id"] == made["id"]]
    assert shown["revoked_at"] is not None
    unknown = await client.delete(f"/v1/api-keys/{UNKNOWN_ID}", headers=admin)
    assert (unknown.status_code, slug(unknown)) == (404, "api-key-not-found")


async def test_an_expired_key_ends_to_the_second(
    client: httpx.AsyncClient, settings: Settings, clock: Clock
) -> None:
    headers = await key_for(settings, "files:read", lifetime=timedelta(minutes=1))
    assert (await client.get("/v1/files", headers=headers)).status_code == 200
    clock.ahead = timedelta(minutes=1)
    response = await client.get("/v1/files", headers=headers)
    assert (response.status_code, slug(response)) == (401, "invalid-token")
    assert "expired" in response.json()["detail"]


async def test_a_key_that_is_used_a_lot_is_looked_up_and_noted_now_and_then(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    clock: Clock,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Longer than a busy machine takes for a few requests.
    remembered = timedelta(seconds=29)
    monkeypatch.setattr(api_keys, "STALENESS", remembered)
    made = await create(client, admin, expires_in_days=None)
    assert made["expires_at"] is None
    assert made["last_used_at"] is None

    async def last_used() -> Any:
        listed = (await client.get("/v1/api-keys", headers=admin)).json()["items"]
        [key] = [key for key in listed if key["id"] == made["id"]]
        return key["last_used_at"]

    assert set(await asyncio.gather(*(status(client, made["token"]) for _ in range(10)))) == {200}
    first = await last_used()
    assert first is not None
    # Out of memory, without the database's rows.
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE api_keys RENAME TO elsewhere")
    try:
        assert await status(client, made["token"]) == 200
        clock.ahead = remembered
        response = await client.get("/v1/files", headers=bearer(made["token"]))
        assert (response.status_code, slug(response)) == (503, "database-unavailable")
    finally:
        await connection.execute("ALTER TABLE elsewhere RENAME TO api_keys")
        await connection.close()
    for ahead, noted in ((30, False), (61, True)):
        clock.ahead = timedelta(seconds=ahead)
        assert await status(client, made["token"]) == 200
        assert (await last_used() != first) is noted


async def test_lists_come_in_pages(
    client: httpx.AsyncClient, admin: dict[str, str], settings: Settings
) -> None:
    made = [(await create(client, admin, name=f"{n}"))["id"] for n in range(5)]
    other = await key_for(settings, "admin", tenant="other")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/api-keys", params=query, headers=admin)).json()
        assert len(page["items"]) <= 2
        seen += [key["id"] for key in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # A cursor opens no other tenant's list.
        theirs = await client.get("/v1/api-keys", params=query | {"cursor": cursor}, headers=other)
        assert slug(theirs) == "invalid-cursor"
    assert seen[:5] == made[::-1]
    assert len(seen) == 6


async def test_keys_that_were_never_made(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    token = (await create(client, admin))["token"]
    for wrong in (
        token[:-1],
        token + "A",
        token.upper(),
        token.replace(KEY_PREFIX, SESSION_PREFIX),
        KEY_PREFIX,
        KEY_PREFIX + "A" * 43,
        SESSION_PREFIX + "A" * 43,
        KEY_PREFIX + "=" * 3,
    ):
        assert await status(client, wrong) == 401, wrong


async def test_where_keys_are_off_none_opens_anything(environ: dict[str, str]) -> None:
    settings = await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "jwt",
            "CLAIMCHECK_JWT__ISSUER": "https://id.example",
            "CLAIMCHECK_JWT__AUDIENCE": "claimcheck",
            "CLAIMCHECK_JWT__SECRET": "x" * 32,
        }
    )
    headers = await key_for(settings, *Scope)
    async with running(settings) as client:
        response = await client.get("/v1/files", headers=headers)
    assert (response.status_code, slug(response)) == (401, "invalid-token")


# --- Their form


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_tokens_are_known_by_their_form(randomness: bytes) -> None:
    for prefix in (KEY_PREFIX, SESSION_PREFIX):
        token = make_token(prefix, randomness)
        assert is_token(token)
        assert re.fullmatch(r"[A-Za-z0-9_-]+", token)  # also safe in a path
        assert not is_token(token[1:])
        assert not is_token(token + "\n")


# --- On the command line


async def command(environ: dict[str, str], *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "keys", *arguments),
        env={"DATABASE_URL": environ["DATABASE_URL"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_first_key_is_made_on_the_command_line(
    client: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    status, out, err = await command(
        environ, "create", "shop [x]", "--scope", "files:read", "--scope", "admin", "--days", "7"
    )
    assert status == 0
    [made] = [json.loads(line) for line in err.splitlines()]
    assert (made["event"], made["credential"]) == ("key.created", "cli")
    token = out.strip()
    assert is_token(token)
    headers = bearer(token)
    [key] = (await client.get("/v1/api-keys", headers=headers)).json()["items"]
    assert (key["name"], key["owner"], key["tenant"]) == ("shop [x]", "key:shop [x]", "")
    assert (key["scopes"], key["made_with"]) == (["admin", "files:read"], "cli")

    _, elsewhere, _ = await command(
        environ, "create", "theirs", "--scope", "admin", "--tenant", "acme", "--owner", "bob"
    )
    for tenant, shown in (([], "shop [x]"), (["--tenant", "acme"], "bob")):
        status, out, _ = await command(environ, "list", *tenant)
        assert status == 0
        assert re.search(rf"{re.escape(shown)}.*admin", out)  # in one line, for grep
        assert (key["id"] in out) is not bool(tenant)
        assert token not in out
        assert elsewhere.strip() not in out

    status, _, err = await command(environ, "revoke", key["id"], "--tenant", "acme")
    assert status == 1
    assert "no API key with this id" in err
    status, out, err = await command(environ, "revoke", key["id"])
    assert (status, out) == (0, "")
    assert json.loads(err)["event"] == "key.revoked"
    assert "revoked" in (await command(environ, "list"))[1]


async def test_the_command_line_lists_or_revokes_what_a_key_made(
    client: httpx.AsyncClient, admin: dict[str, str], environ: dict[str, str]
) -> None:
    maker = await create(client, admin, scopes=["admin", "files:read"])
    made = await create(client, bearer(maker["token"]), name="made [x]")
    revoke = "revoke", maker["id"], "--tenant", "acme"
    code, out, err = await command(environ, *revoke)
    assert code == 0
    assert re.search(rf"{made['id']}.*made \[x\].*key:{maker['id']}.*good", out)
    assert "1, still good" in err
    assert await status(client, made["token"]) == 200
    code, out, err = await command(environ, *revoke, "--made", "revoke")
    assert (code, "1, revoked" in err) == (0, True)
    assert re.search(rf"{made['id']}.*revoked", out)
    listed = (await client.get("/v1/api-keys", headers=admin)).json()["items"]
    assert {key["id"] for key in listed if key["revoked_at"]} == {made["id"], maker["id"]}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["revoke", UNKNOWN_ID, "--made", "keep"], 2, "invalid choice: 'keep'"),
        (["create", "a", "--scope", "files:write"], 1, "There is no scope 'files:write'"),
        (["create", "", "--scope", "admin"], 1, "The name must be printable"),
        (["create", "a", "--scope", "admin", "--owner", "a\nb"], 1, "The owner must be printable"),
        (["create", "a", "--scope", "admin", "--days", "-1"], 1, "--days"),
        (["create", "a", "--scope", "admin", "--days", "9999999999"], 1, "--days"),
        (["create", "a"], 2, "--scope"),
        (["revoke", "7"], 2, "invalid UUID value"),
        ([], 2, "ACTION"),
    ],
)
async def test_what_the_command_line_refuses(
    environ: dict[str, str], arguments: list[str], status: int, says: str
) -> None:
    done = await command(environ, *arguments)
    assert done[0] == status
    assert says in done[2]
    assert "Traceback" not in done[2]
