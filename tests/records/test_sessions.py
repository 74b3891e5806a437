"""Whatever becomes a file in an upload session goes into the session's field."""

from datetime import timedelta

import httpx

from app.access.upload_sessions import mint
from app.core.principal import Principal, Scope, SessionBounds, SessionField
from app.db import moves
from app.records.reading import get_record
from app.runtime.resources import Resources
from app.uploads.announce import announce_unsized
from app.uploads.parts import list_parts, sign_parts

ANN = Principal("ann", "one")


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
