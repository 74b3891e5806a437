"""The sweep and reconcile, run at whatever time a test likes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.core.deadlines import CONFIRM_WITHIN, KEEP_PARTS
from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.store.signer import utc_now
from app.upkeep.reconcile import reconcile, sections
from app.upkeep.sweep import Sweep

HOUR = timedelta(hours=1)
EXPIRED = HOUR + CONFIRM_WITHIN + timedelta(minutes=2)
PAUSED = HOUR + KEEP_PARTS + timedelta(minutes=2)


async def swept(settings: Settings, after: timedelta = EXPIRED, **options: Any) -> dict[str, int]:
    """Sweep once, that much later; how many uploads had each outcome."""
    return await _swept(settings, lambda: utc_now() + after, **options)


async def swept_at(settings: Settings, moment: datetime) -> dict[str, int]:
    """Sweep once at that moment, however late it is by now; how many uploads had each outcome."""
    return await _swept(settings, lambda: moment)


async def _swept(
    settings: Settings, clock: Callable[[], datetime], **options: Any
) -> dict[str, int]:
    async with open_resources(settings, clock=clock) as res:
        counts = await Sweep(res, **options).run()
    return {outcome.value: count for outcome, count in counts.items()}


LONG = timedelta(days=9)


async def found(settings: Settings, ahead: timedelta = LONG, **options: Any) -> dict[str, str]:
    """Reconcile that far ahead; the findings by key."""
    findings = {}
    async with open_resources(settings, clock=lambda: utc_now() + ahead) as res:
        for section in sections(settings.destinations.values()):
            async for finding in reconcile(res, section, **options):
                assert finding.key not in findings
                findings[finding.key] = finding.kind + (" deleted" if finding.deleted else "")
    return findings
