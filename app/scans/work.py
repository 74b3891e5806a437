"""The worker's part: files that are due are claimed, scanned, and given their verdict.

1. A file is claimed for a while, and the claim is committed. Whoever dies leaves a lease that ends.
2. clamd is sent the version that was confirmed, as it comes from the bucket; or the tag is read
   that GuardDuty has put on it.
3. The verdict is written if the claim still holds. Where there is none yet, as clamd or the bucket
   is away, the file is due again after a pause: it is never clean for want of a scanner.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from app.core.scans import GUARDDUTY, GUARDDUTY_TAG, Scan
from app.core.words import in_bytes
from app.db import scans as db_scans
from app.errors import DatabaseUnavailable, Problem
from app.logs.log import Actor, current_actor, get_logger
from app.models.files import File
from app.runtime.resources import Resources
from app.scans.clamd import Answer, Clamd, ClamdUnavailable
from app.scans.proof import prove
from app.scans.verdicts import delete_infected, judge
from app.store.reading import reading, tags_of

_log: Final = get_logger("scans")

# The longest that one scan may take, and a claim that outlasts it.
_SCAN_SECONDS: Final = 1700.0
_LEASE: Final = timedelta(minutes=30)
_OTHERS: Final = 3  # lanes beside the first one
_LOOK_EVERY: Final = 2.0
# How long until a file is due again that was not scanned: as long as it has waited, within these.
_SHORTEST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
# GuardDuty takes minutes at most. Where it has said nothing for so long it will not.
_GUARDDUTY_WITHIN: Final = timedelta(days=1)
# How long it is believed that clamd scans all of a file, and that it does not.
_PROVEN_SECONDS: Final = 3600.0
_UNPROVEN_SECONDS: Final = 60.0


@dataclass
class Scanner:
    """Scans files for this process; it knows for a while what clamd was proved to do."""

    res: Resources
    _proving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _proven: tuple[float, bool] = (0.0, False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Scan what is due, again and again, until it is to stop."""
        while not stopping.is_set():
            try:
                await self.run_once(stopping)
            except DatabaseUnavailable as problem:
                _log.warning("scans_wait", detail=problem.detail, reason=problem.reason)
            except Exception:
                # What one file brings about must not stop all others.
                _log.exception("unexpected_failure")
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await stopping.wait()

    async def run_once(self, stopping: asyncio.Event) -> Counter[str]:
        """Scan what is due now, some at once; how many files there were by their verdicts.

        What is under way when it is to stop is given back. Raises DatabaseUnavailable.
        """
        counts: Counter[str] = Counter()
        before = current_actor.set(Actor(name="scans"))
        try:
            first = await self._claim()
            if first is not None:
                await self._all(first, counts, stopping)
        finally:
            current_actor.reset(before)
        return counts

    async def _all(self, first: File, counts: Counter[str], stopping: asyncio.Event) -> None:
        """Scan the first file and all others that are due, in lanes beside each other."""
        work = asyncio.ensure_future(self._lanes(first, counts))
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def _lanes(self, first: File, counts: Counter[str]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for file in (first, *[None] * _OTHERS):
                    group.create_task(self._lane(file, counts))
        except ExceptionGroup as failures:
            first_failure = failures.exceptions[0]
            raise first_failure from first_failure.__cause__

    async def _lane(self, file: File | None, counts: Counter[str]) -> None:
        while file is not None or (file := await self._claim()) is not None:
            counts[await self._handle(file)] += 1
            file = None

    async def _claim(self) -> File | None:
        now = self.res.clock()
        async with self.res.db.connection() as db:
            return await db_scans.claim(db, now, now + _LEASE)

    async def _handle(self, file: File) -> str:
        """Scan a file that was claimed; its verdict, or what else became of it."""
        try:
            async with asyncio.timeout(_SCAN_SECONDS):
                destination = self.res.bucket_of(file).destination
                if file.scan == Scan.INFECTED and destination.infected_objects == "delete":
                    await delete_infected(self.res, file)
                    return "deleted"
                return await self._scan(file)
        except (ClamdUnavailable, Problem, TimeoutError) as error:
            reason = error.detail if isinstance(error, Problem) else str(error)
            _log.warning(
                "not_scanned", file_id=file.id, key=file.key, reason=reason or "it took too long"
            )
        except asyncio.CancelledError:
            await self._postpone(file, timedelta())
            raise
        except Exception:
            _log.exception("not_scanned", file_id=file.id, key=file.key)
        await self._postpone(file, self._pause(file))
        return "waiting"

    async def _scan(self, file: File) -> str:
        if not self.can_ask(file):
            # Its destination has another scanner by now.
            await self._postpone(file, None)
            return "left"
        answer = await self.ask(file)
        if answer is None:
            await self._postpone(file, self._pause(file))
            return "waiting"
        judged = await judge(self.res, file, *answer)
        return "changed" if judged is None else answer.verdict.value

    def can_ask(self, file: File) -> bool:
        """Whether the scanner of the file's destination can be asked; others tell by themselves."""
        scanner = self.res.bucket_of(file).destination.scanner
        return scanner == "guardduty" or (
            scanner == "clamd" and self.res.settings.clamd_url is not None
        )

    async def ask(self, file: File) -> Answer | None:
        """The scanner's answer about the version that was confirmed; None where it has no verdict
        yet, or clamd was not proved to scan all of a file.

        Raises ClamdUnavailable, and what the calls of a handle do.
        """
        if self.res.bucket_of(file).destination.scanner == "guardduty":
            return await self._tagged(file)
        return await self._ask_clamd(file)

    async def _tagged(self, file: File) -> Answer | None:
        """The verdict of the object's tag; None where it has none yet."""
        handle = self.res.bucket_of(file)
        if file.version_id is None:
            # Before the tags: what is put there later has none for seconds.
            there = await handle.head()
            if there is None:
                return _GONE
            if (there.size, there.etag) != (file.size, file.etag):
                return _REPLACED
        tags = await tags_of(handle, file.version_id)
        if tags is None:
            return _GONE
        status = tags.get(GUARDDUTY_TAG, "")
        if status in GUARDDUTY:
            return Answer(GUARDDUTY[status], f"GuardDuty: {status}")
        if file.confirmed_at and self.res.clock() - file.confirmed_at > _GUARDDUTY_WITHIN:
            return Answer(Scan.FAILED, f"GuardDuty has set no tag {GUARDDUTY_TAG} within a day")
        return None

    async def _ask_clamd(self, file: File) -> Answer | None:
        settings = self.res.settings
        assert settings.clamd_url is not None
        if (file.size or 0) > settings.clamd_max_size:
            return Answer(
                Scan.FAILED,
                f"{in_bytes(file.size or 0)} is more than the "
                f"{in_bytes(settings.clamd_max_size)} that clamd scans",
            )
        clamd = Clamd(settings.clamd_url)
        if not await self._is_proven(clamd):
            return None
        async with reading(self.res.bucket_of(file), file.version_id) as found:
            if found is None:
                return _GONE
            if found.size != file.size or (file.version_id is None and found.etag != file.etag):
                return _REPLACED
            return await clamd.scan(found.chunks)

    async def _is_proven(self, clamd: Clamd) -> bool:
        """Whether clamd finds what lies at the end of the largest file, as was tried lately."""
        async with self._proving:
            now = asyncio.get_running_loop().time()
            until, proven = self._proven
            if now < until:
                return proven
            objections = await prove(clamd, self.res.settings.clamd_max_size)
            for meaning, remedy in objections:
                _log.error("clamd_not_trusted", reason=meaning, remedy=remedy)
            proven = not objections
            self._proven = now + (_PROVEN_SECONDS if proven else _UNPROVEN_SECONDS), proven
            return proven

    def _pause(self, file: File) -> timedelta:
        waited = self.res.clock() - (file.confirmed_at or self.res.clock())
        return min(max(waited, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    async def _postpone(self, file: File, pause: timedelta | None) -> None:
        """Give the claim back; the file is due again after the pause, or not at all."""
        until = None if pause is None else self.res.clock() + pause
        # Else the lease ends by itself.
        with suppress(DatabaseUnavailable):
            async with self.res.db.connection() as db:
                await db_scans.postpone(db, file, until)


_GONE: Final = Answer(Scan.FAILED, "its object is not in the bucket")
# A bucket without versions does not hold what was confirmed any more.
_REPLACED: Final = Answer(Scan.FAILED, "its object was replaced after it was confirmed")
