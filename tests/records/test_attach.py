"""Uploads are confirmed into records, in the name of whoever may."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.preconditions import Preconditions
from app.core.principal import Principal, Scope
from app.core.record_field import FieldPath
from app.db import files as db_files
from app.db import records as db_records
from app.errors import FileInUse, FileNotFound, RecordNotFound
from app.records.fields import etag_of
from app.records.reading import get_record, get_records
from app.records.writing import clear_field, forget_record, put_files
from app.runtime.resources import Resources
from app.settings.model import Settings
from app.store.signer import utc_now
from app.uploads.confirm import confirm_upload
from app.uploads.remove import release_file, remove_file
from tests.records.steps import GALLERY, PICTURE, RECORDS, counts, gallery, images
from tests.support.rows import new_file
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, owner_of_bucket, prepared, running
from tests.support.steps import announced, send, slug, stored
from tests.support.upkeep import swept

PATH_JSON = {"type": "product", "id": "42", "field": "picture"}


class TestAttach:
    """`attach_to` in the confirm call"""

    async def confirm(
        self, client: httpx.AsyncClient, upload: dict[str, Any], **change: Any
    ) -> httpx.Response:
        body = {"attach_to": PATH_JSON | change}
        return await client.post(f"/v1/uploads/{upload['id']}/confirm", json=body)

    async def sent(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, **body: Any
    ) -> dict[str, Any]:
        upload = await announced(client, PNG, "a.png", **({"destination": "images"} | body))
        assert (await send(web, upload["upload"], PNG)).is_success
        return upload

    async def test_a_file_is_confirmed_where_it_belongs(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        first, second = [await self.sent(client, web) for _ in range(2)]
        for upload in (first, second):
            etags = set()
            for _ in range(3):
                response = await self.confirm(client, upload)
                assert response.status_code == 200, response.text
                assert response.json()["id"] == upload["id"]
                record = await client.get("/v1/records/product/42")
                assert record.json()["fields"]["picture"]["file_id"] == upload["id"]
                etags.add(record.headers["etag"])
            assert len(etags) == 1
            assert await counts(db) == {upload["id"]: 1}

    async def test_also_by_url_and_by_key(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        for names in (["url"], ["key", "destination"]):
            upload = await self.sent(client, web)
            body = {name: upload[name] for name in names} | {"attach_to": PATH_JSON}
            assert (await client.post("/v1/files", json=body)).status_code == 200
            assert await counts(db) == {upload["id"]: 1}

    async def test_a_gallery_grows_at_its_end(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        sent = [await self.sent(client, web) for _ in range(3)]
        for upload in [*sent, sent[0]]:
            assert (await self.confirm(client, upload, field="gallery")).status_code == 200
        record = (await client.get("/v1/records/product/42")).json()
        assert gallery(record) == [upload["id"] for upload in sent]

    async def test_repeating_it_undoes_nothing_that_was_done_since(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        """An answer that was lost comes to a retry hours later."""
        first, second = await self.sent(client, web), await self.sent(client, web)
        for upload in (first, second):
            assert (await self.confirm(client, upload)).status_code == 200
        for change in ("replaced", "emptied", "forgotten"):
            assert (await self.confirm(client, first)).json()["id"] == first["id"], change
            assert await counts(db) == ({second["id"]: 1} if change == "replaced" else {}), change
            path = "/v1/records/product/42" + ("/picture" if change == "replaced" else "")
            assert (await client.delete(path)).status_code in {204, 404}
        assert await db.fetchval("SELECT count(*) FROM records") == 0
        # What was confirmed without goes there by PUT.
        file = await stored(client, web, PNG, "a.png", destination="images")
        assert (await self.confirm(client, file)).status_code == 200
        assert await counts(db) == {}
        assert (await client.put(PICTURE, json={"file_id": file["id"]})).status_code == 200

    async def test_what_is_refused_is_not_confirmed_either(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, database_url: str, db: Any
    ) -> None:
        full = await images(client, database_url, 30)
        await client.put(GALLERY, json={"file_ids": full})
        upload, document = (
            await self.sent(client, web),
            await self.sent(client, web, destination="files"),
        )
        for given, change, expected in (
            (upload, {"field": "film"}, (404, "unknown-record-field")),
            (upload, {"type": "film"}, (404, "unknown-record-field")),
            (upload, {"field": "manual"}, (422, "wrong-destination")),
            (document, {}, (422, "wrong-destination")),
            (upload, {"field": "gallery"}, (422, "too-many-files")),
            (upload, {"id": "a/b"}, (422, "validation-failed")),
            (upload, {"id": ".."}, (422, "validation-failed")),
            (upload, {"id": ""}, (422, "validation-failed")),
            (upload, {"id": 42}, (422, "validation-failed")),
            (upload, {"id": None}, (422, "validation-failed")),
            (upload, {"file": "x"}, (422, "validation-failed")),
        ):
            response = await self.confirm(client, given, **change)
            assert (response.status_code, slug(response)) == expected, change
            found = await client.get(f"/v1/uploads/{given['id']}")
            assert found.json()["state"] == "pending", change
        assert await counts(db) == dict.fromkeys(full, 1)
        assert (await self.confirm(client, upload)).status_code == 200
        plain = await client.post(f"/v1/uploads/{document['id']}/confirm", json={})
        assert plain.status_code == 200

    async def test_what_does_not_become_a_file_is_attached_to_nothing(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: Any, settings: Settings
    ) -> None:
        missing = await announced(client, PNG, "a.png", destination="images")
        response = await self.confirm(client, missing)
        assert (response.status_code, slug(response)) == (409, "upload-not-arrived")
        false = await self.sent(client, web)
        async with owner_of_bucket(settings) as s3:
            bucket = settings.destinations["images"].bucket
            await s3.put_object(Bucket=bucket, Key=false["key"], Body=b"y")
        for _ in range(2):
            response = await self.confirm(client, false)
            assert (response.status_code, slug(response)) == (422, "upload-rejected")
        gone = await stored(client, web, PNG, "a.png", destination="images")
        await client.delete(f"/v1/files/{gone['id']}")
        for upload in (gone, {"id": UNKNOWN_ID}):
            response = await self.confirm(client, upload)
            assert (response.status_code, slug(response)) == (404, "upload-not-found")
        assert await db.fetchval("SELECT count(*) FROM records") == 0

    async def test_the_parts_of_a_large_file_are_joined_where_it_belongs(
        self, environ: dict[str, str], web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        settings = await prepared(
            environ
            | {
                f"{RECORDS}PICTURE__DESTINATION": "images",
                f"{RECORDS}MANUAL__DESTINATION": "files",
                f"{RECORDS}GALLERY": '{"destination": "images", "many": true, "max_files": 1}',
                "CLAIMCHECK_DESTINATIONS__IMAGES__METHOD": "multipart",
            }
        )
        async with running(settings) as client:
            upload = await announced(client, PNG, "a.png", destination="images")
            refused = await self.confirm(client, upload, field="manual")
            assert slug(refused) == "wrong-destination"
            [part] = upload["upload"]["parts"]
            assert (await web.put(part["url"], content=PNG)).status_code == 200
            assert (await self.confirm(client, upload, field="gallery")).status_code == 200
            assert await counts(db) == {upload["id"]: 1}

            # Refused once the parts are joined: the file is confirmed by the next call, without.
            late = await announced(client, PNG, "a.png", destination="images")
            [part] = late["upload"]["parts"]
            assert (await web.put(part["url"], content=PNG)).status_code == 200
            refused = await self.confirm(client, late, field="gallery")
            assert (refused.status_code, slug(refused)) == (422, "too-many-files")
            assert slug(await client.get(f"/v1/files/{late['id']}")) == "file-not-found"
            assert (await self.confirm(client, late)).status_code == 200
            assert await counts(db) == {upload["id"]: 1, late["id"]: 1}

    async def test_a_foreign_record_takes_no_file_and_keeps_it_unconfirmed(
        self, res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient, db: Any
    ) -> None:
        await db.execute(
            """INSERT INTO records VALUES
               ('', 'product', '42', 'ann', gen_random_uuid(), now(), now())"""
        )
        upload = await self.sent(client, web)
        caller = Principal("dev")
        for _ in range(2):
            with pytest.raises(RecordNotFound):
                await confirm_upload(res, caller, UUID(upload["id"]), attach_to=PATH)
            state = await db.fetchval("SELECT state FROM files WHERE id = $1", UUID(upload["id"]))
            assert state == "pending"
        file = await confirm_upload(res, caller, UUID(upload["id"]))
        assert file == await confirm_upload(res, caller, file.id, attach_to=PATH)
        assert await counts(db) == {}

    async def test_twenty_at_once_lose_nothing(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        many = [await self.sent(client, web) for _ in range(20)]
        answers = await asyncio.gather(
            *(self.confirm(client, upload, field="gallery") for upload in many)
        )
        assert {answer.status_code for answer in answers} == {200}
        record = (await client.get("/v1/records/product/42")).json()
        assert sorted(gallery(record)) == sorted(upload["id"] for upload in many)
        # One file in the same field, twenty times at once.
        one = await self.sent(client, web)
        answers = await asyncio.gather(*(self.confirm(client, one) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        # Twenty files, of which one is the last.
        others = [await self.sent(client, web) for _ in range(20)]
        answers = await asyncio.gather(*(self.confirm(client, upload) for upload in others))
        assert {answer.status_code for answer in answers} == {200}
        assert sum((await counts(db)).values()) == 21

    async def test_a_commit_that_fails_confirms_nothing(
        self,
        client: httpx.AsyncClient,
        web: httpx.AsyncClient,
        db: asyncpg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        upload = await self.sent(client, web)

        async def lost(*_: Any, **__: Any) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patch:
            patch.setattr(db_records, "replace_files", lost)
            response = await self.confirm(client, upload)
            assert (response.status_code, slug(response)) == (503, "database-unavailable")
        found = await client.get(f"/v1/uploads/{upload['id']}")
        assert found.json()["state"] == "pending"
        assert (await self.confirm(client, upload)).status_code == 200
        assert await counts(db) == {upload["id"]: 1}


ANN, BOB = Principal("ann", "one"), Principal("bob", "one")
OTHER_ANN = Principal("ann", "two")
STAFF = Principal("staff", "one", frozenset({Scope.FILES_ALL}))
OTHER_STAFF = Principal("staff", "two", frozenset({Scope.FILES_ALL}))
PATH = FieldPath("product", "42", "picture")


class TestSelfConfirmed:
    """`attach_to` in the confirm call of a file that has confirmed itself"""

    async def arrived(
        self, settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> str:
        upload = await announced(client, PNG, "a.png", destination="images")
        assert (await send(web, upload["upload"], PNG)).is_success
        assert await swept(settings, timedelta(minutes=1)) == {"confirmed": 1}
        return str(upload["id"])

    async def confirm(self, client: httpx.AsyncClient, upload_id: str, **body: Any) -> None:
        answer = await client.post(f"/v1/uploads/{upload_id}/confirm", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["id"] == upload_id

    async def test_its_client_attaches_it_once(
        self,
        settings: Settings,
        client: httpx.AsyncClient,
        web: httpx.AsyncClient,
        db: asyncpg.Connection,
    ) -> None:
        file_id = await self.arrived(settings, client, web)
        refused = await client.post(
            f"/v1/uploads/{file_id}/confirm", json={"attach_to": PATH_JSON | {"field": "manual"}}
        )
        assert slug(refused) == "wrong-destination"
        # However many of its calls are under way at once.
        await asyncio.gather(
            *(self.confirm(client, file_id, attach_to=PATH_JSON) for _ in range(4))
        )
        assert await counts(db) == {file_id: 1}
        # What has happened to the record since stays.
        assert (await client.delete(PICTURE)).is_success
        await self.confirm(client, file_id, attach_to=PATH_JSON)
        assert await counts(db) == {}

    async def test_a_confirm_without_a_record_is_the_first_as_well(
        self,
        settings: Settings,
        client: httpx.AsyncClient,
        web: httpx.AsyncClient,
        db: asyncpg.Connection,
    ) -> None:
        file_id = await self.arrived(settings, client, web)
        await self.confirm(client, file_id)
        await self.confirm(client, file_id, attach_to=PATH_JSON)
        assert await counts(db) == {}
        assert await db.fetchval("SELECT count(*) FROM records") == 0

    async def test_what_a_back_end_has_attached_and_taken_out_stays_out(
        self,
        settings: Settings,
        client: httpx.AsyncClient,
        web: httpx.AsyncClient,
        db: asyncpg.Connection,
    ) -> None:
        file_id = await self.arrived(settings, client, web)
        assert (await client.put(PICTURE, json={"file_ids": [file_id]})).is_success
        assert (await client.delete(PICTURE)).is_success
        await self.confirm(client, file_id, attach_to=PATH_JSON)
        assert await counts(db) == {}


class TestOwners:
    """A record belongs to whoever made it, and to those who see the whole tenant."""

    async def file_of(self, res: Resources, caller: Principal) -> UUID:
        file = new_file(confirmed_at=utc_now())._replace(
            id=res.new_id(utc_now()),
            state="confirmed",
            owner=caller.owner,
            tenant=caller.tenant,
            bucket=res.settings.destinations["images"].bucket,
        )
        async with res.db.connection() as db:
            await db_files.insert_files(db, [file])
        return file.id

    async def test_a_foreign_record_is_none(self, res: Resources) -> None:
        file = await self.file_of(res, ANN)
        await put_files(res, ANN, PATH, [file])
        for stranger in (BOB, OTHER_ANN, OTHER_STAFF):
            with pytest.raises(RecordNotFound):
                await get_record(res, stranger, "product", "42")
            assert await get_records(res, stranger, "product", ["42"]) == {}
            with pytest.raises(RecordNotFound):
                await clear_field(res, stranger, PATH)
            with pytest.raises(RecordNotFound):
                await forget_record(res, stranger, "product", "42")
        theirs = await self.file_of(res, BOB)
        with pytest.raises(RecordNotFound):
            await put_files(res, BOB, PATH, [theirs])
        held = await get_record(res, ANN, "product", "42")
        assert [file.id for file in held.files["picture"]] == [file]

    async def test_the_same_name_in_another_tenant_is_another_record(self, res: Resources) -> None:
        for caller in (ANN, OTHER_ANN):
            file = await self.file_of(res, caller)
            await put_files(res, caller, PATH, [file])
            held = await get_record(res, caller, "product", "42")
            assert [file.id for file in held.files["picture"]] == [file]

    async def test_a_foreign_file_is_none(self, res: Resources) -> None:
        for stranger in (BOB, OTHER_ANN):
            file = await self.file_of(res, stranger)
            with pytest.raises(FileNotFound):
                await put_files(res, ANN, PATH, [file])
        foreign = await self.file_of(res, OTHER_ANN)
        with pytest.raises(FileNotFound):
            await put_files(res, STAFF, PATH, [foreign])

    async def test_staff_act_for_the_whole_tenant(self, res: Resources) -> None:
        file, of_bob = await self.file_of(res, ANN), await self.file_of(res, BOB)
        await put_files(res, ANN, PATH, [file])
        seen = await get_record(res, STAFF, "product", "42")
        etag = etag_of(seen.record)
        await put_files(res, STAFF, PATH, [of_bob], Preconditions(frozenset({etag})))
        # It stays Ann's, and shows Ann what was put there.
        held = await get_record(res, ANN, "product", "42")
        assert held.record.owner == "ann"
        assert [file.id for file in held.files["picture"]] == [of_bob]
        # Bob cannot remove what others show, and is not told who does.
        with pytest.raises(FileInUse) as refused:
            await remove_file(res, BOB, of_bob)
        assert refused.value.extensions == {"records": []}
        with pytest.raises(FileInUse) as refused:
            await release_file(res, STAFF, of_bob)
        assert len(refused.value.extensions["records"]) == 1
        await forget_record(res, STAFF, "product", "42")
        await release_file(res, BOB, of_bob)
