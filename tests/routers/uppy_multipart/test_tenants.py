"""Uppy's uploads in parts, of callers with one name in two tenants."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from app.routers import uppy
from app.uploads.confirm import confirm_upload
from tests.routers.uppy_multipart.steps import Uppy, explained
from tests.support.issuer import Issuer, running_issuer
from tests.support.service import bearer, prepared, running
from tests.support.steps import minted, setting

EVERYTHING = " ".join(scope for scope in Scope if scope != Scope.FILES_ALL)


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


@pytest.mark.parametrize("major", [5, 6])
async def test_nobody_joins_a_completion_that_they_could_not_begin(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    major: int,
) -> None:
    client.headers.update(ann(issuer, "acme"))
    upload = Uppy(client, web, major)
    await upload.create()
    await upload.send(1, b"x")
    session = await minted(client)
    calls, begun, may_end = 0, asyncio.Event(), asyncio.Event()

    async def held(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        begun.set()
        await may_end.wait()
        return await confirm_upload(*arguments, **named)

    monkeypatch.setattr(uppy, "confirm_upload", held)
    owner = asyncio.create_task(upload.complete())
    await begun.wait()
    strangers = {
        "her name elsewhere": ann(issuer, "other"),
        "all of another tenant": ann(issuer, "other", scope=" ".join(Scope)),
        "a colleague": ann(issuer, "acme", sub="bob"),
        "a session for her": bearer(session["token"]),
    }
    for who, headers in strangers.items():
        client.headers.update(headers)
        for key in (upload.key, "files/another"):
            answer = await upload.ask(
                "POST", f"{upload.path}/complete", key=key, json=upload.parts()
            )
            assert explained(answer, 404) == "upload-not-found", who
            assert upload.key not in answer.text
            assert "location" not in answer.json()
    # Nor the owner with a key that is not the upload's.
    client.headers.update(ann(issuer, "acme"))
    answer = await upload.ask(
        "POST", f"{upload.path}/complete", key="files/another", json=upload.parts()
    )
    assert explained(answer, 404) == "upload-not-found"
    again = asyncio.create_task(upload.complete())
    may_end.set()
    for answer in await asyncio.gather(owner, again):
        assert (answer.status_code, answer.json()["key"]) == (200, upload.key)
    # The owner's second call shared the first, or came after it.
    assert 1 <= calls <= 2
