"""The service, its list's links left out or signed by aioboto3; all else is the service itself.

`uvicorn bench.peers.lists:without_links --factory`, or `:signed_by_aioboto3`. Only the function
that signs a page's links is exchanged, so that query, rows, middleware and rendering are whatever
the service does, and the difference is what the links cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import FastAPI

from app.core.delivery import content_disposition, presentation
from app.http import rendering
from app.models.files import File
from app.runtime.resources import Resources
from bench.service import create_app


class _Link(NamedTuple):
    url: str
    expires_at: datetime


async def _no_links(res: Resources, files: Sequence[File]) -> list[_Link]:
    return [_Link("", res.clock())] * len(files)


def _no_content_urls(_: Resources, files: Sequence[File]) -> list[None]:
    return [None] * len(files)


async def _links(res: Resources, files: Sequence[File]) -> list[_Link]:
    found = []
    for file in files:
        destination = res.settings.destination_of(file.destination, file.bucket)
        params = {"Bucket": file.bucket, "Key": file.key, "VersionId": file.version_id}
        kind = file.content_type
        shown = presentation("inline", kind, kind, file.detected_type)
        params["ResponseContentDisposition"] = content_disposition(shown.disposition, file.filename)
        if shown.content_type is not None:
            params["ResponseContentType"] = shown.content_type
        expires_in = destination.link_expires_in
        url = await (await res.buckets.client(destination)).generate_presigned_url(
            "get_object", Params=params, ExpiresIn=expires_in
        )
        found.append(_Link(url, res.clock() + timedelta(seconds=expires_in)))
    return found


def without_links() -> FastAPI:
    """The service, its files' links empty."""
    rendering.read_links = _no_links  # type: ignore[assignment,attr-defined]
    rendering.content_urls = _no_content_urls  # type: ignore[attr-defined]
    return create_app()


def signed_by_aioboto3() -> FastAPI:
    """The service, its files' links signed by the one aioboto3 client that it has anyway."""
    rendering.read_links = _links  # type: ignore[assignment,attr-defined]
    return create_app()
