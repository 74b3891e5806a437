"""`claimcheck reconcile`: compare buckets with the database, one JSON line a difference."""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Final

from app.commands.checkpoint import Checkpoint
from app.commands.parser import Subparsers, add_command
from app.commands.progress import progress_line
from app.commands.with_resources import with_resources
from app.runtime.resources import Resources
from app.settings.model import require_stores
from app.upkeep.reconcile import Finding, reconcile, sections

FOUND_STATUS: Final = 2
CAPPED_STATUS: Final = 3
_EVERY: Final = 10_000


def add(commands: Subparsers) -> None:
    purpose = "compare buckets and database in both directions, one JSON line a difference"
    status = (
        f"Exit status {FOUND_STATUS} if any stands, {CAPPED_STATUS} at the limit: run it again."
    )
    parser = add_command(commands, "reconcile", _reconcile, purpose, status=status)
    parser.add_argument(
        "--apply",
        action="store_true",
        help="delete what uploads left behind, or mend the sums; else only look",
    )
    parser.add_argument(
        "--usage",
        action="store_true",
        help="compare what is counted of owners and tenants with the sums of their files instead",
    )
    parser.add_argument(
        "--limit", type=int, default=1000, help="end after so many differences (default: 1000)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="where to go on after an interruption"
    )


def _reconcile(options: argparse.Namespace) -> None:
    run = _compare_usage if options.usage else _run
    if status := with_resources(require_stores, lambda res: run(res, options)):
        sys.exit(status)


async def _compare_usage(res: Resources, options: argparse.Namespace) -> int:
    # Loaded late, by who asks for it.
    from app.usage.compare import compare

    differences = await compare(res, mend=options.apply)
    for difference in differences:
        sys.stdout.write(json.dumps(difference._asdict(), ensure_ascii=False) + "\n")
    count = f"{len(differences):,} differ" if differences else "no difference"
    sys.stderr.write(f"{count}{', mended' if differences and options.apply else ''}\n")
    return FOUND_STATUS if differences and not options.apply else 0


async def _run(res: Resources, options: argparse.Namespace) -> int:
    checkpoint, compared, counts = Checkpoint(options.checkpoint), 0, Counter[str]()
    with progress_line("compared: 0") as show:
        for section in sections(res.settings.destinations.values()):
            if section.name in checkpoint.done:
                continue

            def passed(key: str, name: str = section.name) -> None:
                nonlocal compared
                compared += 1
                checkpoint.keys[name] = key
                if compared % _EVERY == 0:
                    checkpoint.save()
                    show(f"compared: {compared:,}", True)

            after = checkpoint.keys.get(section.name, "")
            found = reconcile(res, section, after=after, apply=options.apply, passed=passed)
            try:
                async with aclosing(found):
                    async for finding in found:
                        _print(finding)
                        counts["deleted" if finding.deleted else finding.kind] += 1
                        if counts.total() >= options.limit:
                            checkpoint.keys[section.name] = finding.key
                            sys.stderr.write(f"compared: {compared:,}; ended at the limit\n")
                            return CAPPED_STATUS
            finally:
                checkpoint.save()
            checkpoint.done.append(section.name)
    checkpoint.clear()
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    sys.stderr.write(f"compared: {compared:,}; {said or 'no difference'}\n")
    return FOUND_STATUS if counts.total() - counts["deleted"] else 0


def _print(finding: Finding) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(finding), ensure_ascii=False) + "\n")
    sys.stdout.flush()
