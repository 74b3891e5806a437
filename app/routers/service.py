"""What the service says of itself: destinations, and whether it lives and is ready."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app import queries
from app.core.destination import Method
from app.errors import Problem
from app.resources import Resources
from app.routers.permissions import CanUpload, Res
from app.routers.problems import responses

router = APIRouter(tags=["service"])

READY_SECONDS = 5


class DestinationBody(BaseModel):
    """What a destination takes; empty lists mean anything. Sizes are bytes."""

    name: str
    method: Method
    content_types: list[str]
    extensions: list[str]
    min_size: int
    max_size: int


class Destinations(BaseModel):
    """The destinations that the caller can announce uploads for."""

    items: list[DestinationBody]


class Ready(BaseModel):
    """Per dependency `ok`, or what is wrong with it."""

    database: str
    buckets: dict[str, str]


@router.get(
    "/v1/destinations",
    operation_id="listDestinations",
    summary="List where files may go",
    responses=responses(),
)
async def destinations(caller: CanUpload, res: Res) -> Destinations:
    """For a front end that checks a file before it announces it."""
    return Destinations(
        items=[
            DestinationBody(
                name=d.name,
                method=d.method,
                content_types=list(d.content_types),
                extensions=list(d.extensions),
                min_size=d.min_size,
                max_size=d.max_size,
            )
            for d in res.settings.destinations.values()
            if d.admits(caller)
        ]
    )


@router.get(
    "/livez",
    operation_id="livez",
    summary="Whether the process answers",
    responses=responses(public=True),
)
async def livez() -> dict[str, str]:
    """Asks nobody else."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Whether database and buckets answer",
    responses={
        **responses(public=True),
        503: {"model": Ready, "description": "A dependency does not answer"},
    },
)
async def readyz(res: Res, response: Response) -> Ready:
    """503 if any does not answer within 5 seconds."""
    buckets = {d.bucket: d for d in res.settings.destinations.values()}
    database, *found = await asyncio.gather(
        _checked(_ask_database(res)),
        *(_checked(res.buckets.check(d)) for d in buckets.values()),
    )
    ready = Ready(database=database, buckets=dict(zip(buckets, found, strict=True)))
    if {database, *found} != {"ok"}:
        response.status_code = 503
    return ready


async def _ask_database(res: Resources) -> None:
    async with res.db.connection() as db:
        await queries.ping(db)


async def _checked(question: Coroutine[Any, Any, None]) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await question
    except Problem as problem:
        return problem.detail
    except TimeoutError:
        return f"no answer within {READY_SECONDS} s"
    return "ok"
