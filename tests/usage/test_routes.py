"""Uses, and limits of one's own, by the API and on the command line as docs/quotas.md has it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from tests.support.service import key_for, prepared, running
from tests.support.steps import announced, minted, send, slug

PAGE = (Path(__file__).parents[2] / "docs" / "quotas.md").read_text(encoding="utf-8")
BODY = {"destination": "files", "filename": "a.png", "size": 5}
LIMITS = {
    "CLAIMCHECK_AUTH": "keys",
    "CLAIMCHECK_QUOTA__OWNER__BYTES": "10",
    "CLAIMCHECK_QUOTA__TENANT__FILES": "4",
}


def share(*counts: int, **limits: int) -> dict[str, Any]:
    return {
        "counted": True,
        **dict(zip(("files", "bytes", "pending", "reserved"), counts, strict=True)),
        "limits": {"bytes": None, "files": None, "pending": None} | limits,
    }


async def test_what_is_used(environ: dict[str, str], web: httpx.AsyncClient) -> None:
    settings = await prepared(environ | LIMITS)
    async with running(settings) as client:
        ann = await key_for(settings, "uploads:write", "files:read", owner="ann")
        boss = await key_for(settings, "files:read", "files:all", owner="boss")
        manager = await key_for(settings, "files:read", Scope.QUOTAS_MANAGE, owner="shop")
        client.headers.update(ann)

        async def get(path: str, key: dict[str, str]) -> Any:
            return (await client.get(f"/v1/{path}", headers=key)).json()

        made = await announced(client, b"hello")
        await send(web, made["upload"], b"hello")
        assert (await client.post(f"/v1/uploads/{made['id']}/confirm")).status_code == 200
        assert (await client.post("/v1/uploads", json=BODY | {"size": 2})).status_code == 201
        mine = share(1, 5, 1, 2, bytes=10)
        assert await get("usage", ann) == {"owner": mine, "tenant": None}
        for key in (boss, manager):
            assert await get("usage?owner=ann", key) == {
                "owner": mine,
                "tenant": share(1, 5, 1, 2, files=4),
            }
        assert (await get("usage?owner=boss", ann))["type"].endswith("insufficient-scope")
        refused = await client.post("/v1/uploads", json=BODY)
        assert (refused.status_code, slug(refused)) == (403, "quota-exceeded")
        said = refused.json()
        assert [said[each] for each in ("level", "quota", "used", "reserved", "limit")] == [
            *("owner", "bytes", 5, 2, 10)
        ]
        # Sessions of the same owner share what is left.
        minter = await key_for(settings, "sessions:mint", "uploads:write", owner="ann")
        client.headers.update(minter)
        session = await minted(client, destination="files", max_files=9)
        client.headers["Authorization"] = f"Bearer {session['token']}"
        assert slug(await client.post("/v1/uploads", json=BODY)) == "quota-exceeded"
        assert (await client.post("/v1/uploads", json=BODY | {"size": 3})).status_code == 201


async def test_limits_of_ones_own_are_set_and_cleared(environ: dict[str, str]) -> None:
    settings = await prepared(environ | LIMITS)
    async with running(settings) as client:
        ann = await key_for(settings, "uploads:write", "files:read", owner="ann")
        client.headers.update(await key_for(settings, Scope.QUOTAS_MANAGE, "files:read"))

        async def announce(size: int) -> int:
            body = BODY | {"size": size}
            return (await client.post("/v1/uploads", json=body, headers=ann)).status_code

        assert await announce(11) == 403
        wanted = {"owner": "ann", "bytes": 30}
        put = await client.put("/v1/quotas", json=wanted)
        assert put.json() == wanted | {"files": None, "pending": None}
        assert await announce(11) == 201
        assert (await client.put("/v1/quotas", json={"files": 1})).status_code == 200
        assert await announce(1) == 403
        listed = (await client.get("/v1/quotas")).json()["items"]
        assert [each["owner"] for each in listed] == [None, "ann"]
        [last] = (await client.get("/v1/quotas?after=a")).json()["items"]
        assert last["owner"] == "ann"
        for _ in range(2):
            assert (await client.delete("/v1/quotas")).status_code == 204
            assert (await client.delete("/v1/quotas?owner=ann")).status_code == 204
        assert (await client.get("/v1/quotas")).json() == {"items": []}
        # What is above the limit stays, and nothing is added to it.
        assert await announce(1) == 403
        for wrong in ({"owner": ""}, {"bytes": -1}, {"bytes": 2**53 + 1}, {"size": 1}):
            assert (await client.put("/v1/quotas", json=wrong)).status_code == 422
        assert (await client.put("/v1/quotas", json={}, headers=ann)).status_code == 403


async def test_where_nothing_is_limited(environ: dict[str, str]) -> None:
    async with running(await prepared(environ)) as client:
        assert (await client.get("/v1/usage")).json() == {"owner": None, "tenant": None}
        refused = await client.put("/v1/quotas", json={"owner": "ann", "files": 1})
        assert (refused.status_code, slug(refused)) == (409, "quotas-not-kept")
        assert "CLAIMCHECK_QUOTA__OWNER__" in refused.json()["detail"]
        assert (await client.get("/v1/quotas")).json() == {"items": []}


@pytest.mark.slow
async def test_the_page_on_quotas(environ: dict[str, str]) -> None:
    """Its requests by curl are those of the tests above; its commands are run here."""
    for path in re.findall(r"\$API(/v1/[a-z]+)", PAGE):
        assert path in {"/v1/usage", "/v1/quotas"}
    [body] = re.findall(r"-d '(.*?)'", PAGE)
    settings = await prepared(environ | LIMITS)
    async with running(settings) as client:
        client.headers.update(await key_for(settings, Scope.QUOTAS_MANAGE))
        assert (await client.put("/v1/quotas", json=json.loads(body))).status_code == 200

    def run(line: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *line.split()],
            env={"PATH": "/usr/bin", "COLUMNS": "200"} | environ | LIMITS,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    [line] = re.findall(r"`claimcheck (quotas set .*?)`", PAGE)
    run(line)
    assert "20,000,000,000" in run("quotas list")
    assert "20,000,000,000" in run("quotas usage --owner ann")
    run("quotas clear --owner ann")
    assert "ann" not in run("quotas list")
    assert run("reconcile --usage") == ""
