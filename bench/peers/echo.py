"""FastAPI with our request and response models and no work in between: the framework's floor.

`uvicorn bench.peers.echo:create_app --factory`. Bodies are parsed and validated, answers are
serialised each time from models that were built once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse

from app.routers.files import Link, Links, LinksWanted
from app.routers.rendering import FILE_EXAMPLE, FileBody
from app.routers.upload_bodies import AnnouncedBody, PostInstructions
from app.routers.uploads import AnnouncementBody, BatchAnswer, BatchBody

_NOW = datetime(2026, 11, 22, 19, 7, 9, tzinfo=UTC)
_ID = UUID(FILE_EXAMPLE["id"])
_ORIGIN = "http://127.0.0.1:7480/bench"
_KEY = "images/11-22-2026_19-07-09-123456--holiday-in-provence-2026.png"
# As long as ours with a pinned version, character for character.
_LINK = f"{_ORIGIN}/{_KEY}?{'X' * 330}&versionId={'v' * 32}&X-Amz-Signature={'0' * 64}"
_ANNOUNCED = AnnouncedBody(
    id=_ID,
    state="pending",
    destination="images",
    key=_KEY,
    url=f"{_ORIGIN}/{_KEY}",
    filename="Holiday in Provence 2026.png",
    content_type="image/png",
    size=482_133,
    expires_at=_NOW,
    upload=PostInstructions(
        url=_ORIGIN,
        expires_at=_NOW,
        fields={
            "key": _KEY,
            "bucket": "bench",
            "content-type": "image/png",
            "x-amz-meta-claimcheck-id": str(_ID),
            "success_action_status": "201",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "AKIDEXAMPLE000000001/20261122/us-east-1/s3/aws4_request",
            "x-amz-date": "20261122T190709Z",
            "policy": "p" * 812,
            "x-amz-signature": "0" * 64,
        },
    ),
)
_BATCH = BatchAnswer(uploads=[_ANNOUNCED] * 50)
_FILE = FileBody(**FILE_EXAMPLE | {"presigned_url": _LINK})
_LINKS = Links(
    items=[
        Link(id=_ID, url=f"{_ORIGIN}/{_KEY}", presigned_url=_LINK, presigned_url_expires_at=_NOW)
    ]
    * 1000
)


def create_app() -> FastAPI:
    """The echo."""
    app = FastAPI()

    @app.post("/v1/uploads", status_code=201)
    async def announce(body: AnnouncementBody, response: Response) -> AnnouncedBody:
        response.headers["Location"] = f"/v1/uploads/{body.size}"
        return _ANNOUNCED

    @app.post("/v1/uploads/batch")
    async def announce_batch(body: BatchBody) -> BatchAnswer:
        assert body.uploads
        return _BATCH

    @app.post("/v1/uploads/{upload_id}/confirm")
    async def confirm(upload_id: UUID) -> FileBody:
        assert upload_id
        return _FILE

    @app.post("/v1/files/presign")
    async def presign(body: LinksWanted) -> Links:
        assert body.ids
        return _LINKS

    @app.get("/v1/files/{file_id}/content", response_class=RedirectResponse)
    async def content(file_id: UUID) -> RedirectResponse:
        assert file_id
        return RedirectResponse(_LINK, status_code=302)

    return app
