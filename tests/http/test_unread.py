"""Whoever may not send a request has not a byte of its body read, on any route."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.principal import Scope
from app.settings.model import Settings
from tests.http.steps import MACHINES, PUBLIC, routes
from tests.support.service import UNKNOWN_ID, bearer, key_for, prepared, running
from tests.support.steps import minted, slug
from tests.support.unread import BODIES, unread

KEY = f"claimcheck_key_{'a' * 43}"
SESSION = f"claimcheck_upload_{'a' * 43}"


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
        }
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        yield client


async def test_no_route_reads_what_comes_without_a_right(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    narrow = await key_for(settings, "of-no:use", owner="ann", tenant="acme")
    client.headers.update(await key_for(settings, *Scope, owner="ann", tenant="other"))
    session = bearer((await minted(client, destination="files"))["token"])
    del client.headers["Authorization"]
    refused = {
        "nothing": ({}, 401, "credential-required"),
        "no such key": (bearer(KEY), 401, "invalid-token"),
        "no such session": (bearer(SESSION), 401, "invalid-token"),
        "no token of ours": (bearer("a.b.c"), 401, "invalid-token"),
        "no bearer": ({"Authorization": "Basic YTpi"}, 401, "invalid-token"),
        "without the scope": (narrow, 403, "insufficient-scope"),
    }
    walked = 0
    for method, path, _ in routes(settings):
        if path in PUBLIC:
            continue
        if path in MACHINES:
            for kind in BODIES:
                assert (await unread(client, method, path, kind)).status_code == 404
            continue
        address = re.sub(r"{\w+}", UNKNOWN_ID, path)
        for who, (headers, status, problem) in refused.items():
            for kind in BODIES:
                response = await unread(client, method, address, kind | headers)
                assert response.status_code == status, (who, method, path)
                assert method == "HEAD" or slug(response) == problem, (who, method, path)
                walked += 1
        if (
            not address.startswith(("/v1/uploads", "/v1/upload-url", "/uppy"))
            and path
            not in {
                "/v1/files",
                "/v1/destinations",
                # Nobody's session but those of a request finds one.
                "/v1/requests/open",
            }
            and (method, path) != ("PATCH", "/v1/files/{file_id}")
        ):
            response = await unread(client, method, address, BODIES[0] | session)
            assert response.status_code == 403, (method, path)
    assert walked > 1000


async def test_uppys_door_reads_nothing_for_a_token_in_the_path(client: httpx.AsyncClient) -> None:
    for token in (KEY, SESSION, "none"):
        for path in (
            "s3/multipart",
            "to/files/s3/multipart",
            f"s3/multipart/{UNKNOWN_ID}/complete",
        ):
            for kind in BODIES:
                response = await unread(client, "POST", f"/uppy/{token}/{path}", kind)
                assert (response.status_code, slug(response)) == (401, "invalid-token")


async def test_too_long_a_body_is_refused_to_those_alone_who_may_send_one(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    ann = await key_for(settings, *Scope)
    for path in ("/v1/uploads", "/v1/api-keys", "/v1/upload-url", "/uppy/s3/multipart"):
        response = await unread(client, "POST", path, ann | BODIES[2])
        assert (response.status_code, slug(response)) == (413, "request-too-large")
