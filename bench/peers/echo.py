"""FastAPI with our request and response models and no work in between: the framework's floor.

`uvicorn bench.peers.echo:create_app --factory`. Bodies are parsed and validated, answers are
serialised each time from models that were built once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse

from app.core.delivery import content_disposition, presentation
from app.core.object_url import object_url
from app.core.sigv4 import Credentials, presign_url
from app.http.rendering import FILE_EXAMPLE, FileBody
from app.http.upload_bodies import AnnouncedBody, PostInstructions
from app.routers.links import Link, Links, LinksWanted
from app.routers.uploads import AnnouncementBody, BatchAnswer, BatchBody
from app.settings.model import Settings, load_settings

_NOW = datetime(2026, 11, 22, 19, 7, 9, tzinfo=UTC)
_ID = UUID(FILE_EXAMPLE["id"])
_ORIGIN = "http://127.0.0.1:7480/bench"
_KEY = "images/11-22-2026_19-07-09-123456--holiday-in-provence-2026.png"
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
    reason=None,
    upload=PostInstructions(
        method="POST",
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
# Those numbered so in bench.rows, whose links ours are as long as, character for character.
NUMBERS = range(999_001, 1_000_001)


def _link(settings: Settings, number: int) -> Link:
    to, pdf = settings.destinations["images"], number % 10 == 0
    name = f"{'anaphora-trimenou' if pdf else 'holiday'}-{number}.{'pdf' if pdf else 'png'}"
    key = f"images/11-22-2026_19-07-09-123456--{name}"
    kind = "application/pdf" if pdf else "image/png"
    shown = presentation("inline", kind, kind, None)
    filename = f"Αναφορά τριμήνου {number}.pdf" if pdf else f"Holiday {number}.png"
    query = {"response-content-disposition": content_disposition(shown.disposition, filename)}
    if shown.content_type is not None:
        query["response-content-type"] = shown.content_type
    secret = settings.aws_secret_access_key
    assert settings.aws_access_key_id is not None
    assert secret is not None
    url = presign_url(
        "GET",
        to.address,
        key,
        credentials=Credentials(settings.aws_access_key_id, secret.get_secret_value()),
        now=_NOW,
        expires_in=to.link_expires_in + to.window,
        query=query | {"versionId": "0" * 32},
    )
    return Link(
        id=_ID,
        url=object_url(to.stored_endpoint, to.bucket or "", key),
        presigned_url=url,
        presigned_url_expires_at=_NOW,
    )


def create_app(settings: Settings | None = None) -> FastAPI:
    """The echo."""
    settings = settings or load_settings()
    links = Links(items=[_link(settings, number) for number in NUMBERS])
    link = _link(settings, NUMBERS[0]).presigned_url
    file = FileBody(**FILE_EXAMPLE | {"presigned_url": link})
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
        return file

    @app.post("/v1/files/presign", response_model_exclude_defaults=True)
    async def presign(body: LinksWanted) -> Links:
        assert body.ids
        return links

    @app.get("/v1/files/{file_id}/content", response_class=RedirectResponse)
    async def content(file_id: UUID) -> RedirectResponse:
        assert file_id
        return RedirectResponse(link, status_code=302)

    return app
