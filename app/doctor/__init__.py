"""Prove by doing that every destination works and keeps what it promises.

`claimcheck doctor` prints it, `GET /v1/capabilities` answers with it.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import aioboto3

from app.bucket_client import Buckets, open_buckets
from app.bucket_config import Unread
from app.core.bucket_setup import Aspect, needs_of
from app.core.destination import Destination
from app.doctor.advice import advise, say
from app.doctor.browsers import check_pages, check_strangers
from app.doctor.buckets import check_reach, check_state
from app.doctor.findings import Advice, Finding, Findings, Level, Report
from app.doctor.patient import Patient, tidy_up
from app.doctor.remembered import RememberedReport
from app.doctor.service import check_credentials, check_database, check_settings
from app.doctor.uploads import check_public_endpoint, check_uploads
from app.doctor.visitor import Visitor, open_visitor
from app.provision import browser_origins, by_bucket
from app.resources import open_session
from app.settings import Settings
from app.signer import Signer, utc_now

_T = TypeVar("_T")

__all__ = ["Advice", "Finding", "Level", "RememberedReport", "Report", "examine"]


async def examine(
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Look at everything. What it makes on the way it takes away again.

    Raises ConfigurationError where AWS_PROFILE names no profile.
    """
    session = open_session(settings)
    credentials = await check_credentials(Signer(session, clock=clock), clock())
    database = await check_database(settings)
    found = [check_settings(settings, environ), database, credentials]
    advice: dict[str, Advice] = {}
    if not credentials.has_failed():
        async with (
            open_buckets(session, settings.every_destination()) as buckets,
            open_visitor() as visitor,
        ):
            for more, advised in await _together(
                *(
                    _examine_bucket(
                        destinations, browser_origins(settings), session, buckets, visitor, clock
                    )
                    for destinations in by_bucket(settings)
                )
            ):
                found += more
                advice |= advised
    return Report(tuple(f for findings in found for f in findings.made), advice)


async def _together(*work: Coroutine[Any, Any, _T]) -> list[_T]:
    """The results of all. It ends when all have, also if it is cancelled or one of them fails: each
    takes away what it has made, with clients that are closed afterwards.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        if tasks:
            await asyncio.wait(tasks)


async def _examine_bucket(
    destinations: Sequence[Destination],
    origins: list[str],
    session: aioboto3.Session,
    buckets: Buckets,
    visitor: Visitor,
    clock: Callable[[], datetime],
) -> tuple[list[Findings], dict[str, Advice]]:
    first = destinations[0]
    client = buckets.client(first)
    reach, state = await check_reach(client, first, clock())
    if state is None:
        # Whatever else failed would fail for the same reason.
        return [reach], {}
    patients = [
        Patient(
            destination=destination,
            session=session,
            buckets=buckets,
            visitor=visitor,
            clock=clock,
            origin=origins[0] if origins else None,
            longest_signature=needs_of(destinations, origins).longest_signature,
            findings=Findings(destination.name),
        )
        for destination in destinations
    ]
    set_up = await check_state(client, destinations, origins, state)
    await _together(*(_examine_destination(patient, origins) for patient in patients))
    has_versions = state.aspects[Aspect.VERSIONING] is not Unread.UNKNOWN
    advised = {}
    for patient in patients:
        advice = advise(
            patient.destination, state.kind, patient.abilities, has_versions=has_versions
        )
        say(patient.findings, advice)
        advised[patient.destination.name] = advice
    return [reach, set_up, *(patient.findings for patient in patients)], advised


async def _examine_destination(patient: Patient, origins: list[str]) -> None:
    if not await check_public_endpoint(patient):
        return
    try:
        await check_uploads(patient)
        await check_pages(patient, origins)
        await check_strangers(patient)
    finally:
        await tidy_up(patient)
