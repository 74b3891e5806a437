"""The whole examination: the service first, then each bucket with all its destinations."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from app.core.bucket_setup import Aspect, needs_of
from app.core.destination import Destination
from app.doctor.access import check_anonymous, check_cors
from app.doctor.advice import advise, report_advice
from app.doctor.browser import Browser, open_browser
from app.doctor.buckets import check_reach, check_state
from app.doctor.events import check_events, hears_events
from app.doctor.examination import Examination, tidy_up
from app.doctor.findings import Advice, Findings, Report
from app.doctor.scans import check_clamd, check_tags
from app.doctor.seals import proven_seals, remember_seals
from app.doctor.service import check_credentials, check_database, check_settings
from app.doctor.uploads import check_public_endpoint, check_uploads
from app.models.seals import ProvenSeal
from app.runtime.resources import open_credentials
from app.settings.model import Settings
from app.store.client import Buckets, open_buckets
from app.store.credentials import CredentialChain
from app.store.setup.config import Unread
from app.store.setup.provision import browser_origins, by_bucket
from app.store.signer import utc_now

_T = TypeVar("_T")


async def examine(
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    clock: Callable[[], datetime] = utc_now,
    at_length: bool = True,
) -> Report:
    """Check the settings, the credentials, the database and every bucket; return all findings.

    `at_length`: whether it is tried out that the store tells of objects that arrive, which takes
    15 seconds where it does not, and that clamd scans the largest files.

    Which seals hold is remembered in the database. The objects and uploads that it makes are
    removed before it returns, also when it is cancelled. Where the credentials fail, no bucket is
    examined. Raises ConfigurationError where AWS_PROFILE names no profile.
    """
    chain = open_credentials(settings, clock)
    credentials = await check_credentials(chain, clock())
    database = await check_database(settings)
    found = [check_settings(settings, environ), database, credentials]
    if at_length:
        found.append(await check_clamd(settings))
    advice: dict[str, Advice] = {}
    proven: list[ProvenSeal] = []
    if not credentials.has_failed():
        async with (
            open_buckets(chain, settings.every_destination()) as buckets,
            open_browser() as browser,
        ):
            together = by_bucket(settings)
            hears = at_length and hears_events(settings) and not database.has_failed()
            answers = await _gather(
                *(
                    _examine_bucket(
                        destinations,
                        browser_origins(settings),
                        chain,
                        buckets,
                        browser,
                        clock,
                        settings if hears else None,
                    )
                    for destinations in together
                )
            )
        for (more, advised), destinations in zip(answers, together, strict=True):
            found += more
            advice |= advised
            proven += proven_seals(destinations, advised, clock())
    if proven and not database.has_failed():
        await remember_seals(settings, proven)
    return Report(tuple(f for findings in found for f in findings.entries), advice)


async def _gather(*work: Coroutine[Any, Any, _T]) -> list[_T]:
    """Run them concurrently and return their results in order.

    It waits for all of them also when it is cancelled or one of them fails: each removes what it
    has made, with clients that the caller closes afterwards.
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
    credentials: CredentialChain,
    buckets: Buckets,
    browser: Browser,
    clock: Callable[[], datetime],
    told: Settings | None,
) -> tuple[list[Findings], dict[str, Advice]]:
    """Findings about a bucket and each of its destinations, and advice by destination name.

    `told` are the settings where the store is to tell of objects that arrive.
    """
    first = destinations[0]
    client = await buckets.client(first)
    reach, state = await check_reach(buckets, first, clock())
    if state is None:
        # Whatever else failed would fail for the same reason.
        return [reach], {}
    examinations = [
        Examination(
            destination=destination,
            credentials=credentials,
            buckets=buckets,
            browser=browser,
            clock=clock,
            origin=origins[0] if origins else None,
            longest_signature=needs_of(destinations, origins).longest_signature,
            findings=Findings(destination.name),
        )
        for destination in destinations
    ]
    set_up = await check_state(client, destinations, origins, state)
    await _gather(*(_examine_destination(each, origins, told) for each in examinations))
    versioning = state.aspects[Aspect.VERSIONING]
    advised = {}
    for examination in examinations:
        # A store may take the setting, and pin nothing.
        useless = examination.abilities.versions is False and versioning == {"Status": "Enabled"}
        has_versions = versioning is not Unread.UNKNOWN and not useless
        advice = advise(
            examination.destination, state.kind, examination.abilities, has_versions=has_versions
        )
        report_advice(examination.findings, advice)
        advised[examination.destination.name] = advice
    return [reach, set_up, *(examination.findings for examination in examinations)], advised


async def _examine_destination(
    examination: Examination, origins: list[str], told: Settings | None
) -> None:
    if not await check_public_endpoint(examination):
        return
    try:
        await check_uploads(examination)
        await check_cors(examination, origins)
        await check_anonymous(examination)
        await check_tags(examination)
        if told is not None:
            await check_events(examination, told)
    finally:
        await tidy_up(examination)
