"""One name in two tenants is two people, in everything that is kept or shared for a caller."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.principal import Principal, Scope, SessionBounds
from tests.support.issuer import Issuer, running_issuer
from tests.support.service import prepared, running
from tests.support.steps import announced, confirm_all, minted, setting, slug

EVERYTHING = " ".join(scope for scope in Scope if scope != Scope.FILES_ALL)


def test_callers_that_differ_in_anything_have_identities_of_their_own() -> None:
    session = SessionBounds(UUID(int=1), "files")
    callers = [
        Principal("ann", "acme", credential="jwt"),
        Principal("ann", "other", credential="jwt"),
        Principal("ann", credential="jwt"),
        Principal("bob", "acme", credential="jwt"),
        Principal("ann", "acme", credential="key:1"),
        Principal("ann", "acme", credential="jwt", session=session),
    ]
    assert len({caller.identity for caller in callers}) == len(callers)
    # What they may do is no part of it.
    assert (
        callers[0].identity
        == Principal("ann", "acme", frozenset(Scope), {"role": "x"}, credential="jwt").identity
    )


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def told(environ: dict[str, str], issuer: Issuer) -> dict[str, str]:
    return (
        environ
        | issuer.environ(CLAIMCHECK_JWT__TENANT_CLAIM="org")
        | setting("files", "min_size", "1")
    )


@pytest.fixture
async def client(told: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with running(await prepared(told)) as client:
        yield client


def ann(issuer: Issuer, org: str, **claims: Any) -> dict[str, str]:
    return issuer.bearer(**{"org": org, "scope": EVERYTHING, **claims})


async def test_a_limit_is_each_callers_own(told: dict[str, str], issuer: Issuer) -> None:
    settings = await prepared(told | {"CLAIMCHECK_RATE_LIMIT": "3/hour"})
    async with running(settings) as client:
        for org in ("acme", "other"):
            statuses = [
                (await client.get("/v1/destinations", headers=ann(issuer, org))).status_code
                for _ in range(4)
            ]
            assert statuses == [200, 200, 200, 429], org


async def test_a_cursor_opens_the_list_of_its_caller_alone(
    client: httpx.AsyncClient, issuer: Issuer, database_url: str
) -> None:
    key = {"name": "a", "scopes": ["files:read"]}
    for org in ("acme", "other"):
        client.headers.update(ann(issuer, org))
        for _ in range(3):
            await announced(client, b"x")
            await minted(client)
            assert (await client.post("/v1/api-keys", json=key)).status_code == 201
    await confirm_all(database_url)
    for path in ("/v1/files", "/v1/upload-sessions", "/v1/api-keys"):
        client.headers.update(ann(issuer, "acme"))
        cursor = (await client.get(path, params={"limit": 1})).json()["next_cursor"]
        query = {"limit": 1, "cursor": cursor}
        assert (await client.get(path, params=query)).status_code == 200
        for stranger in (
            ann(issuer, "other"),
            ann(issuer, "acme", sub="bob"),
            ann(issuer, "acme", scope=" ".join(Scope)) if path != "/v1/api-keys" else None,
        ):
            if stranger is not None:
                answer = await client.get(path, params=query, headers=stranger)
                assert slug(answer) == "invalid-cursor", path
        for elsewhere in {"/v1/files", "/v1/upload-sessions", "/v1/api-keys"} - {path}:
            answer = await client.get(elsewhere, params=query)
            assert slug(answer) == "invalid-cursor"


async def test_keys_of_objects_tell_the_tenants_apart(told: dict[str, str], issuer: Issuer) -> None:
    settings = await prepared(told | setting("files", "key_template", "{owner}/{uuid}"))
    async with running(settings) as client:
        folders = set()
        for org in ("acme", "other"):
            client.headers.update(ann(issuer, org))
            folders.add((await announced(client, b"x"))["key"].rsplit("/", 1)[0])
    assert len(folders) == 2
