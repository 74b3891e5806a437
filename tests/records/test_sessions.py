"""Whatever becomes a file in an upload session goes into the session's field."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.access.upload_sessions import mint
from app.core.principal import Principal, Scope, SessionBounds, SessionField
from app.db import moves
from app.records.reading import get_record
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from app.uploads.announce import announce_unsized
from app.uploads.arrive import note_arrivals, try_to_confirm
from app.uploads.parts import list_parts, sign_parts
from tests.records.steps import PICTURE, acting, counts
from tests.support.samples import PNG
from tests.support.service import bearer, key_for, running
from tests.support.steps import announced, minted, send
from tests.support.upkeep import EXPIRED, swept

ANN = Principal("ann", "one")
PATH_JSON = {"type": "product", "id": "42", "field": "picture"}


async def test_also_when_a_look_at_its_parts_finds_them_joined(
    res: Resources, web: httpx.AsyncClient
) -> None:
    """The process that had them joined died before it confirmed the upload."""
    field = SessionField("product", "42", "manual", "ann")
    session, _ = await mint(
        res,
        ANN,
        destination="files",
        owner="ann",
        max_files=1,
        max_bytes=None,
        expires_in=600,
        attach_to=field,
        unsized=True,
    )
    browser = Principal(
        *("ann", "one", frozenset({Scope.UPLOADS_WRITE})),
        session=SessionBounds(session.id, "files", field, unsized=True),
    )
    file = await announce_unsized(res, browser, "files", "a.txt", None)
    [part] = (await sign_parts(res, browser, file.id, [1])).parts
    assert (await web.put(part.url, content=b"hello")).status_code == 200
    handle = res.bucket_of(file)
    arrived = await handle.list_parts(file.store_upload_id)
    assert arrived
    past = res.clock() - timedelta(hours=1)
    async with res.db.connection() as db:
        await moves.claim_completion(db, file, 5, past, past, 1)
    assert file.store_upload_id
    await handle.complete_upload(file.store_upload_id, arrived)

    known = await list_parts(res, browser, file.id)
    assert [part.size for part in known.parts] == [5]
    record = await get_record(res, ANN, "product", "42")
    assert [held.id for held in record.files["manual"]] == [file.id]


@pytest.fixture
async def shop(
    settings: Settings, request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """A back end. Images are sent by the method of the parameter, if there is one."""
    images = settings.destinations["images"]
    images = images.model_copy(update={"method": getattr(request, "param", images.method)})
    change = {"auth": ("keys",), "destinations": {**settings.destinations, "images": images}}
    async with running(settings.model_copy(update=change)) as client:
        client.headers.update(await key_for(settings, *(set(Scope) - {Scope.FILES_ALL})))
        yield client


class Gone:
    """A browser that has sent its bytes into an upload session, and asks later perhaps."""

    def __init__(self, shop: httpx.AsyncClient) -> None:
        self._shop = shop

    async def send(self, web: httpx.AsyncClient) -> str:
        self._session = await minted(
            self._shop, destination="images", owner="ann", attach_to=PATH_JSON
        )
        async with acting(self._shop, bearer(self._session["token"])) as browser:
            upload = await announced(browser, PNG, "a.png", destination="images")
            assert (await send(web, upload["upload"], PNG)).is_success
        self._confirm = f"/v1/uploads/{upload['id']}/confirm"
        return str(upload["id"])

    async def confirm(self) -> int:
        async with acting(self._shop, bearer(self._session["token"])) as browser:
            return (await browser.post(self._confirm)).status_code


@pytest.mark.parametrize("machine", ["event", "look", "end"])
async def test_also_where_its_browser_has_gone(
    settings: Settings,
    shop: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    machine: str,
) -> None:
    """Told of by the store, looked for, or found when its instructions have ended."""
    gone = Gone(shop)
    upload_id = await gone.send(web)
    if machine == "event":
        async with open_resources(settings) as res:
            where = await db.fetchrow("SELECT bucket, key FROM files")
            [file] = await note_arrivals(res, [(where["bucket"], where["key"])])
            await try_to_confirm(res, file)
    else:
        after = timedelta(minutes=1) if machine == "look" else EXPIRED
        assert await swept(settings, after) == {"confirmed": 1}
    assert await counts(db) == {upload_id: 1}
    # It was taken out since: a confirm that comes late does not put it back.
    assert (await shop.delete(PICTURE)).is_success
    assert await gone.confirm() == 200
    assert await counts(db) == {}


@pytest.mark.parametrize("shop", ["post", "multipart"], indirect=True)
async def test_a_file_is_confirmed_also_where_the_field_does_not_take_it(
    settings: Settings,
    shop: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
) -> None:
    gone = Gone(shop)
    upload_id = await gone.send(web)
    # Somebody else has made the record meanwhile.
    await db.execute(
        "INSERT INTO records (tenant, type, id, owner, version, created_at, updated_at)"
        " VALUES ('', 'product', '42', 'bob', gen_random_uuid(), now(), now())"
    )
    assert await swept(settings, timedelta(minutes=1)) == {"confirmed": 1}
    assert await counts(db) == {}
    # Its client is told why, and has it attached once that is possible.
    assert await gone.confirm() == 404
    await db.execute("DELETE FROM records")
    assert await gone.confirm() == 200
    assert await counts(db) == {upload_id: 1}
