"""Routes about the service itself: its destinations, and whether it lives and is ready."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.core.destination import Destination, Integrity, Method
from app.db import files as db_files
from app.errors import DatabaseUnavailable, Problem
from app.http.lean_route import LeanRoute
from app.http.permissions import CanUpload, Res
from app.http.problems import responses
from app.http.rendering import json_response
from app.logs.log import get_logger
from app.models.tables import REVISION
from app.runtime.resources import Resources

router = APIRouter(tags=["service"], route_class=LeanRoute)

READY_SECONDS = 5
READY_RETRY = 5  # seconds: what is said to whoever asks when it is not
# Anybody may ask, without a token: so the answer is remembered for so many seconds.
READY_REMEMBERED = 2.0

_log: Final = get_logger("readiness")


class DestinationBody(BaseModel):
    """The files that a destination takes; empty lists mean any. Sizes are bytes."""

    name: str
    method: Method
    integrity: Integrity = Field(description="`md5`: each request to the bucket needs its MD5")
    content_types: list[str]
    extensions: list[str]
    min_size: int
    max_size: int
    max_pixels: int | None = Field(description="Of an image; null: any")


class Destinations(BaseModel):
    """The destinations that the caller can announce uploads for."""

    items: list[DestinationBody]


class Ready(BaseModel):
    """`ok`, or what is wrong, of the database and of the bucket of each destination."""

    database: str
    buckets: dict[str, str]


@router.get(
    "/v1/destinations",
    operation_id="listDestinations",
    response_model=Destinations,
    summary="List where files may go",
    responses=responses(),
)
async def destinations(caller: CanUpload, res: Res) -> Response:
    """For a front end that checks a file before it announces it."""
    admitting = [d for d in res.settings.destinations.values() if d.admits(caller)]
    body = Destinations.model_validate({"items": admitting}, from_attributes=True)
    return json_response(body)


@router.get(
    "/livez",
    operation_id="livez",
    summary="Whether the process answers",
    response_model=dict[str, str],
    responses=responses(public=True),
)
async def livez() -> Response:
    """Asks nobody else."""
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=Ready,
    summary="Whether database and buckets answer",
    responses={
        **responses(public=True),
        503: {"model": Ready, "description": "A dependency does not answer"},
    },
)
async def readyz(res: Res) -> Response:
    """503 if any does not answer within 5 seconds. The answer is up to 2 seconds old."""
    asking = res.background.share("readyz", lambda: _ask(res), READY_REMEMBERED)
    ready = await asyncio.shield(asking)
    if {ready.database, *ready.buckets.values()} != {"ok"}:
        return json_response(ready, {"Retry-After": str(READY_RETRY)}, 503)
    return json_response(ready)


async def _ask(res: Resources) -> Ready:
    destinations = res.settings.destinations.values()
    buckets = {(d.endpoint_url, d.bucket): d for d in destinations}
    database, *found = await asyncio.gather(
        _checked("database", _ask_database(res)),
        *(_checked(d.bucket, res.buckets.check(d)) for d in buckets.values()),
    )
    said = dict(zip(buckets, found, strict=True))
    return Ready(
        database=database,
        buckets={d.name: _for_strangers(said[d.endpoint_url, d.bucket], d) for d in destinations},
    )


def _for_strangers(said: str, destination: Destination) -> str:
    """The first sentence, without the bucket's name: the rest is its operators' business, who find
    it in the log.
    """
    return said.partition(". ")[0].replace(f"bucket {destination.bucket} ", "bucket ")


async def _ask_database(res: Resources) -> None:
    async with res.db.connection() as db:
        found = await db_files.schema_revision(db) or ""
    # Newer ones do: a release migrates while the version before it still serves.
    if found < REVISION:
        raise DatabaseUnavailable(
            f"The tables are those of {found or 'no migration'}; this version needs {REVISION}: "
            "run `claimcheck migrate`.",
            retry_after=30,
        )


async def _checked(part: str, question: Coroutine[Any, Any, None]) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await question
    except Problem as problem:
        _log.warning("not_ready", part=part, detail=problem.detail, reason=problem.reason)
        return problem.detail
    except TimeoutError:
        detail = f"no answer within {READY_SECONDS} s"
        _log.warning("not_ready", part=part, detail=detail, reason=None)
        return detail
    return "ok"
