"""Levels are switched on and off as the settings say, and their changes folded in.

Switching on: changes are noted from one moment on; then what is there is counted, however long that
takes, and limits nothing meanwhile; then what has changed since is added, and limits hold. A
process that ends in between leaves it to the next, which counts anew.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from app.db import usage as db_usage
from app.db.usage import Key
from app.errors import DatabaseUnavailable, Problem
from app.logs.log import get_logger
from app.models.usage import Level
from app.runtime.resources import Resources
from app.usage.daily import forget_days

_log: Final = get_logger("usage")
# Keys that are locked at once to fold in their changes: announcements wait meanwhile.
_AT_ONCE: Final = 100
# Tries to finish, and seconds between them, where somebody writes files for long.
_TRIES: Final = 3
_PAUSE: Final = 1.0


async def keep_levels(res: Resources, *, drop: bool = False) -> None:
    """Switch on the levels at which the settings limit anything, and see them counted; with `drop`
    switch off the others.

    Raises DatabaseUnavailable.
    """
    async with res.db.connection() as db:
        there = await db_usage.read_levels(db)
    for level in Level:
        is_limited = bool(getattr(res.settings.quota, level))
        if is_limited and not there.get(level):
            await _switch_on(res, level, is_kept=level in there)
        elif drop and not is_limited and level in there:
            async with res.db.transaction() as db:
                await db_usage.drop_level(db, level)
            _log.info("usage_forgotten", of=level.value)


async def try_to_keep_levels(res: Resources, *, drop: bool = False) -> None:
    """As `keep_levels`; what fails, as somebody holds the table, is left to a later sweep."""
    try:
        await keep_levels(res, drop=drop)
    except Problem as problem:
        _log.warning("usage_not_counted", detail=problem.detail, reason=problem.reason)


async def _switch_on(res: Resources, level: Level, *, is_kept: bool) -> None:
    if not is_kept:
        async with res.db.transaction() as db:
            await db_usage.keep_level(db, level)
    async with res.db.transaction() as db:
        is_counted = await db_usage.count_level(db, level)
    if not is_counted:
        return
    for last in (*[False] * (_TRIES - 1), True):
        try:
            async with res.db.transaction() as db:
                if await db_usage.finish_level(db, level):
                    _log.info("usage_counted", of=level.value)
            return
        except DatabaseUnavailable:
            if last:
                raise
        await asyncio.sleep(_PAUSE)


async def look_after_usage(res: Resources, stopping: asyncio.Event) -> None:
    """For the sweep: levels as the settings have them now, changes folded in, old days forgotten.

    Raises DatabaseUnavailable.
    """
    if res.settings.admin:
        await forget_days(res)
    await try_to_keep_levels(res, drop=True)
    if res.settings.quota:
        await fold_all(res, stopping)


async def fold_all(res: Resources, stopping: asyncio.Event) -> None:
    """Fold in the changes there are by now, until `stopping` is set. Raises DatabaseUnavailable."""
    async with res.db.connection() as db:
        keys = await db_usage.changed_keys(db)
    await fold(res, keys, stopping)


async def fold(res: Resources, keys: Sequence[Key], stopping: asyncio.Event | None = None) -> None:
    """Fold in the changes of these keys, few at once, until `stopping` is set.

    Raises DatabaseUnavailable.
    """
    for start in range(0, len(keys), _AT_ONCE):
        if stopping is not None and stopping.is_set():
            return
        async with res.db.transaction() as db:
            await db_usage.lock_usage(db, keys[start : start + _AT_ONCE])
