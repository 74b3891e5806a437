"""`claimcheck scan`: scan files that have no verdict, or all of them again, and prove clamd."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from app.commands.parser import Subparsers, add_command
from app.commands.progress import progress_line
from app.commands.with_resources import with_resources
from app.core.destination import Destination
from app.core.ids import first_uuid7
from app.db import scans as db_scans
from app.errors import Problem
from app.models.files import File
from app.runtime.resources import Resources
from app.scans.clamd import Clamd, ClamdUnavailable
from app.scans.proof import prove
from app.scans.verdicts import judge
from app.scans.work import Scanner
from app.settings.model import require_stores

FOUND_STATUS: Final = 2
_PAGE: Final = 100
_AT_ONCE: Final = 4
_FIRST: Final = datetime(1971, 1, 1, tzinfo=UTC)


def add(commands: Subparsers) -> None:
    purpose = "scan files that no virus scanner has judged yet, one JSON line for each that is not "
    purpose += "clean; and prove that clamd finds what lies at the end of the largest of them"
    status = f"Exit status 1 if clamd is not to be trusted, {FOUND_STATUS} if a file is not clean."
    parser = add_command(commands, "scan", _scan, purpose, status=status)
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="DATE",
        help="scan all files again that were announced since then (2026-11-22, UTC), those that "
        "were found clean, or were released, among them",
    )
    parser.add_argument(
        "--destination", metavar="NAME", help="its files alone, also before it requires scans"
    )
    parser.add_argument("--prove", action="store_true", help="prove clamd, and scan no file")


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment < _FIRST:
        raise ValueError(value)
    return moment


def _scan(options: argparse.Namespace) -> None:
    if status := with_resources(require_stores, lambda res: _run(res, options)):
        sys.exit(status)


async def _run(res: Resources, options: argparse.Namespace) -> int:
    destinations = _destinations(res, options.destination)
    if any(one.scanner == "clamd" for one in destinations) and not await _is_proven(res):
        return 1
    if options.prove:
        return 0
    counts: Counter[str] = Counter()
    lines = Scanner(res), asyncio.Semaphore(_AT_ONCE)
    after = first_uuid7(options.since or _FIRST)
    with progress_line("scanned: 0") as show:
        while True:
            async with res.db.connection() as db:
                files = await db_scans.files_behind(
                    db,
                    after,
                    [one.name for one in destinations],
                    every=options.since is not None,
                    limit=_PAGE,
                )
            if not files:
                break
            counts.update(await asyncio.gather(*(_one(*lines, file) for file in files)))
            after = files[-1].id
            show(f"scanned: {counts.total():,}", False)
    said = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    sys.stderr.write(f"scanned: {said or 'nothing to do'}\n")
    return FOUND_STATUS if counts["infected"] or counts["failed"] or counts["not scanned"] else 0


def _destinations(res: Resources, name: str | None) -> list[Destination]:
    known = res.settings.destinations
    if name is None:
        found = [one for one in known.values() if one.scan == "required"]
        if not found:
            sys.exit("No destination has `scan = required`; name one with --destination.")
    elif name in known:
        found = [known[name]]
    else:
        sys.exit(f"There is no destination {name!r}; there are: {', '.join(sorted(known))}.")
    own = [one.name for one in found if one.scanner == "api"]
    if own:
        sys.exit(f"Files of {', '.join(own)} are scanned by a scanner that tells by the API.")
    return found


async def _is_proven(res: Resources) -> bool:
    if res.settings.clamd_url is None:
        sys.exit("CLAIMCHECK_CLAMD_URL is not set: say where clamd is, as tcp://host:3310.")
    try:
        objections = await prove(Clamd(res.settings.clamd_url), res.settings.clamd_max_size)
    except ClamdUnavailable as error:
        sys.exit(str(error))
    for meaning, remedy in objections:
        sys.stderr.write(f"{meaning}\n  {remedy}\n")
    return not objections


async def _one(scanner: Scanner, lane: asyncio.Semaphore, file: File) -> str:
    """Scan one file; its verdict, or what else became of it."""
    async with lane:
        try:
            answer = await scanner.ask(file)
        except (ClamdUnavailable, Problem) as error:
            reason = error.detail if isinstance(error, Problem) else str(error)
            _print(file, "not scanned", reason)
            return "not scanned"
        if answer is None:
            return "waiting"
        if await judge(scanner.res, file, *answer) is None:
            return "changed"
    if answer.verdict != "clean":
        _print(file, answer.verdict, answer.reason)
    return answer.verdict.value


def _print(file: File, verdict: str, reason: str | None) -> None:
    line = {"scan": verdict, "reason": reason, "id": str(file.id), "key": file.key}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
