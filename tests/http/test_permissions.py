"""Who is let in where: every route asks, and nobody reaches what is somebody else's."""

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from app.core.principal import Scope
from app.http.permissions import Permission
from app.settings.model import Settings, load_settings
from tests.http.steps import MACHINES, PUBLIC, routes
from tests.support.issuer import running_issuer
from tests.support.service import UNKNOWN_ID, bearer, key_for, prepared, running
from tests.support.steps import announced, minted, slug, stored

PICTURE = "/v1/records/product/42/picture"
# In paths, but no ids: everybody knows them.
NAMES = {"record_type": "product", "field": "picture"}
EVERYTHING = [scope for scope in Scope if scope != Scope.FILES_ALL]


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_SECRET_KEY": "0" * 32,
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
        }
    )


async def example(client: httpx.AsyncClient, method: str, path: str) -> Any:
    """A body that fits, as the OpenAPI document has it."""
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    # An optional body is this or null.
    reference = schema.get("anyOf", [schema])[0]["$ref"]
    return document["components"]["schemas"][reference.rpartition("/")[2]]["example"]


async def test_no_route_answers_without_a_credential(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    open_paths = set()
    asked = 0
    for method, path, _ in routes(settings):
        address = re.sub(r"{\w+}", UNKNOWN_ID, path)
        body = await example(client, method, path)
        for headers in ({}, {"Authorization": f"Bearer claimcheck_key_{'a' * 43}"}):
            response = await client.request(method, address, json=body, headers=headers)
            asked += 1
            if response.is_success:
                open_paths.add(path)
            elif path in MACHINES:
                assert response.status_code == 404
            elif path not in PUBLIC:
                assert response.status_code == 401, (method, path)
                assert method == "HEAD" or slug(response) == (
                    "invalid-token" if headers else "credential-required"
                )
                assert response.headers["www-authenticate"].startswith("Bearer ")
    assert open_paths == PUBLIC
    assert asked > 40


def test_every_route_says_in_its_signature_what_it_asks_for(settings: Settings) -> None:
    seen = 0
    for method, path, route in routes(settings):
        if path in PUBLIC | MACHINES:
            continue
        assert isinstance(route, APIRoute), path
        permissions = [
            dependency.call
            for dependency in route.dependant.dependencies
            if isinstance(dependency.call, Permission)
        ]
        assert len(permissions) == 1, (method, path)
        seen += 1
    assert seen >= 20


async def test_the_document_names_the_scope_of_each_operation(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if path in PUBLIC:
                assert operation["security"] == []
                assert not {"401", "403"} & set(operation["responses"])
                continue
            security = operation["security"]
            if path == "/v1/files/{file_id}/content":  # its grant will do instead
                assert security.pop() == {}
            [[name, scopes]] = [list(*one.items()) for one in security]
            assert name == "bearer"
            assert set(scopes) <= set(Scope)
            assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)
            assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]


async def test_each_operation_asks_for_its_scope_and_no_other(
    settings: Settings, client: httpx.AsyncClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    keys = {scope: await key_for(settings, scope) for scope in Scope}
    everything_but = {
        scope: await key_for(settings, *(s for s in Scope if s != scope)) for scope in Scope
    }
    for path, item in document["paths"].items():
        if path in PUBLIC:
            continue
        for method, operation in item.items():
            [scope] = operation["security"][0]["bearer"]
            address = re.sub(r"{\w+}", UNKNOWN_ID, path)
            body = await example(client, method, path)

            refused = await client.request(
                method, address, json=body, headers=everything_but[scope]
            )
            assert refused.status_code == 403, (method, path)
            assert slug(refused) == "insufficient-scope"
            assert refused.json()["scope"] == scope
            assert refused.headers["www-authenticate"] == (
                f'Bearer realm="claimcheck", error="insufficient_scope", scope="{scope}"'
            )
            let_in = await client.request(method, address, json=body, headers=keys[scope])
            assert let_in.status_code != 401, (method, path)
            if let_in.status_code == 403:
                # Let in, but a key can be made with no more than one has.
                assert (path, slug(let_in)) == ("/v1/api-keys", "scope-not-grantable")


class Belongings:
    """One of everything that has an id, all of them Ann's."""

    def __init__(self, ids: dict[str, str], file: dict[str, Any], upload: dict[str, Any]) -> None:
        self.ids, self.file, self.upload = ids, file, upload


@pytest.fixture
async def hers(settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient) -> Belongings:
    ann = await key_for(settings, *Scope, owner="ann", tenant="acme")
    client.headers.update(ann)
    file = await stored(client, web)
    upload = await announced(client, b"x")
    session = await minted(client, destination="files")
    made = await client.post("/v1/api-keys", json={"name": "hers", "scopes": ["files:read"]})
    told = await client.post("/v1/webhooks", json={"url": "https://hooks.example.com/a"})
    assert told.status_code == 201, told.text
    wanted = {"destination": "files", "note": "Yours, please."}
    request = await client.post("/v1/requests", json=wanted)
    assert request.status_code == 201, request.text
    record = await client.put(PICTURE, json={"file_id": file["id"]})
    assert record.status_code == 200, record.text
    for name in ann:
        del client.headers[name]
    return Belongings(
        {
            "upload_id": upload["id"],
            "file_id": file["id"],
            "session_id": session["id"],
            "key_id": made.json()["id"],
            "webhook_id": told.json()["id"],
            "request_id": request.json()["id"],
            "record_type": "product",
            "record_id": "42",
            "field": "picture",
        },
        file,
        upload,
    )


async def test_nobody_reaches_what_is_somebody_elses(
    settings: Settings, client: httpx.AsyncClient, hers: Belongings
) -> None:
    document = (await client.get("/openapi.json")).json()
    strangers = {
        "a colleague": await key_for(settings, *EVERYTHING, owner="bob", tenant="acme"),
        "her name elsewhere": await key_for(settings, *EVERYTHING, owner="ann", tenant="other"),
        "all of another tenant": await key_for(settings, *Scope, owner="ann", tenant="other"),
        "all of no tenant": await key_for(settings, *Scope, owner="ann"),
    }
    tried = set()
    for who, headers in strangers.items():
        for path, item in document["paths"].items():
            names = set(re.findall(r"{(\w+)}", path)) - set(NAMES)
            if not names or (who == "a colleague" and names <= {"key_id", "webhook_id"}):
                continue  # these are the tenant's, for all who hold their scope there
            address = path.format(**hers.ids)
            for method in item:
                body = await example(client, method, path)
                response = await client.request(method, address, json=body, headers=headers)
                assert response.status_code == 404, (who, method, path)
                tried.add((method, path))
                if method == "put":
                    continue  # what is put where nothing is makes it
                # As if there were nothing: not even the words differ.
                unknown = path.format(**dict.fromkeys(hers.ids, UNKNOWN_ID) | NAMES)
                nothing = await client.request(method, unknown, json=body, headers=headers)
                for answer in (response, nothing):
                    assert answer.status_code == 404
                said = [{**a.json(), "request_id": ""} for a in (response, nothing)]
                assert said[0] == said[1]
        for made in (hers.file, hers.upload):
            by_key = {"destination": "files", "key": made["key"]}
            for body in ({"url": made["url"]}, by_key):
                response = await client.post("/v1/files", json=body, headers=headers)
                assert (response.status_code, slug(response)) == (404, "upload-not-found"), who
            for body in ({"ids": [made["id"]]}, {"urls": [made["url"]]}):
                response = await client.post("/v1/files/presign", json=body, headers=headers)
                [item] = response.json()["items"]
                assert item["problem"]["status"] == 404, who
        assert (await client.get("/v1/files", headers=headers)).json()["items"] == []
        listed = await client.get("/v1/records/product", params={"ids": "42"}, headers=headers)
        assert listed.json() == {"items": [], "missing": ["42"]}
        mine = await client.put(
            "/v1/records/product/mine/picture", json={"file_id": hers.file["id"]}, headers=headers
        )
        assert (mine.status_code, slug(mine)) == (404, "file-not-found")
    assert len(tried) >= 12

    # And it is all still there for its owner.
    ann = await key_for(settings, *Scope, owner="ann", tenant="acme")
    for path in (
        f"/v1/files/{hers.ids['file_id']}",
        f"/v1/uploads/{hers.ids['upload_id']}",
        f"/v1/upload-sessions/{hers.ids['session_id']}",
        f"/v1/requests/{hers.ids['request_id']}",
        "/v1/records/product/42",
    ):
        assert (await client.get(path, headers=ann)).status_code == 200
    [key] = [
        key
        for key in (await client.get("/v1/api-keys", headers=ann)).json()["items"]
        if key["id"] == hers.ids["key_id"]
    ]
    assert key["revoked_at"] is None


async def test_nobody_reaches_it_through_uppys_door(
    settings: Settings, client: httpx.AsyncClient, hers: Belongings
) -> None:
    """Its routes are in no document; each of those with an id is tried, under both prefixes."""
    ann = await key_for(settings, *Scope, owner="ann", tenant="acme")
    film = {"filename": "a.bin", "type": "text/plain", "metadata": {"destination": "files"}}
    started = (await client.post("/uppy/s3/multipart", json=film, headers=ann)).json()
    bob = await key_for(settings, *EVERYTHING, owner="bob", tenant="acme")
    strangers = [
        bob,
        await key_for(settings, *EVERYTHING, owner="ann", tenant="other"),
        await key_for(settings, *Scope, owner="ann", tenant="other"),
    ]
    for maker in (bob, strangers[-1]):
        client.headers.update(maker)
        strangers.append(bearer((await minted(client, destination="files"))["token"]))
        del client.headers["Authorization"]
    ids = {"destination": "files", "upload_id": started["uploadId"], "part_number": "1"}
    body: Any = {"parts": [{"PartNumber": 1, "ETag": '"x"'}]}
    tried = 0
    for method, path, _ in routes(settings):
        if not path.startswith("/uppy/") or "{upload_id}" not in path:
            continue
        address = path.format(**ids)
        sent: dict[str, Any] = {"params": {"key": started["key"], "partNumbers": "1"}}
        if method == "POST":
            sent["json"] = body
        for headers in strangers:
            answer = await client.request(method, address, headers=headers, **sent)
            if method == "DELETE":
                # Dropping what is not there is no error to Uppy: see below that nothing went.
                assert (answer.status_code, answer.json()) == (200, {}), path
            elif method != "HEAD":
                assert (answer.status_code, slug(answer)) == (404, "upload-not-found"), path
            tried += 1
    assert tried >= 50
    # It is all still there for its owner.
    parts = await client.get(f"/uppy/s3/multipart/{started['uploadId']}", headers=ann)
    assert (parts.status_code, parts.json()) == (200, [])


async def test_who_acts_for_the_tenant_reaches_all_of_it(
    settings: Settings, client: httpx.AsyncClient, hers: Belongings
) -> None:
    boss = await key_for(settings, *Scope, owner="boss", tenant="acme")
    assert (await client.get(f"/v1/files/{hers.file['id']}", headers=boss)).status_code == 200
    listed = (await client.get("/v1/files", headers=boss)).json()["items"]
    assert [file["id"] for file in listed] == [hers.file["id"]]
    assert (await client.delete("/v1/records/product/42", headers=boss)).status_code == 204
    gone = await client.delete(f"/v1/files/{hers.file['id']}", headers=boss)
    assert gone.status_code == 204
    gone = await client.delete(f"/v1/uploads/{hers.upload['id']}", headers=boss)
    assert gone.status_code == 204


async def test_owners_and_tenants_come_from_the_token(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    async with running_issuer() as issuer:
        told = issuer.environ(CLAIMCHECK_JWT__TENANT_CLAIM="org")
        settings = await prepared(environ | told)
        async with running(settings) as client:
            client.headers.update(issuer.bearer(org="acme"))
            file = await stored(client, web)
            for claims, status in (
                ({"org": "acme"}, 200),
                ({"org": "other"}, 404),
                ({"org": "acme", "sub": "bob"}, 404),
                ({"org": "acme", "sub": "bob", "scope": "files:read files:all"}, 200),
                ({"org": "other", "sub": "ann", "scope": "files:read files:all"}, 404),
                ({"org": "acme", "scope": "files:readall"}, 403),
                ({"org": "acme", "scope": None}, 403),
                ({"org": None}, 401),
            ):
                client.headers.update(issuer.bearer(**claims))
                response = await client.get(f"/v1/files/{file['id']}")
                assert response.status_code == status, claims


async def test_destinations_say_who_may_use_them(environ: dict[str, str]) -> None:
    async with running_issuer() as issuer:
        settings = await prepared(
            environ
            | issuer.environ()
            | {
                "CLAIMCHECK_DESTINATIONS__VIDEOS__SCOPES": "videos:write, studio",
                "CLAIMCHECK_DESTINATIONS__VIDEOS__ALLOW_CLIENT_KEYS": "true",
                "CLAIMCHECK_DESTINATIONS__IMAGES__CLAIMS": '{"role": ["editor", "chief"]}',
            }
        )
        async with running(settings) as client:

            async def may(headers: dict[str, str]) -> set[str]:
                listed = await client.get("/v1/destinations", headers=headers)
                allowed = set()
                for name, filename in (("images", "a.png"), ("videos", "a.mp4"), ("files", "a")):
                    body = {"destination": name, "filename": filename, "size": 1}
                    response = await client.post("/v1/uploads", json=body, headers=headers)
                    if response.status_code == 201:
                        allowed.add(name)
                    else:
                        assert (response.status_code, slug(response)) == (
                            403,
                            "destination-forbidden",
                        )
                assert {d["name"] for d in listed.json()["items"]} == allowed
                chosen = await client.post(
                    "/v1/upload-url", json={"object_key": "videos/a.mp4"}, headers=headers
                )
                if "videos" not in allowed:
                    assert slug(chosen) == "client-keys-not-allowed"
                else:
                    assert chosen.status_code in {200, 409}
                return allowed

            def token(**claims: Any) -> dict[str, str]:
                return issuer.bearer(**claims)

            write = "uploads:write"
            assert await may(token()) == {"files"}
            assert await may(token(role="editor")) == {"files", "images"}
            assert await may(token(role=["x", "chief"])) == {"files", "images"}
            for role in ("", "editors", ["Editor"], {"editor": 1}, 1, True, None):
                assert await may(token(role=role)) == {"files"}
            assert await may(token(scope=f"{write} videos:write")) == {"files"}
            assert await may(token(scope=f"{write} studio videos:write")) == {"files", "videos"}
            # A key has no claims.
            key = await key_for(settings, write, "videos:write", "studio")
            assert await may(key) == {"files", "videos"}


def test_auth_none_is_for_this_machine() -> None:
    settings = load_settings({"CLAIMCHECK_AUTH": "none"})
    assert settings.open_here
    assert not load_settings({"CLAIMCHECK_AUTH": "keys"}).open_here
    assert not load_settings({}).open_here
