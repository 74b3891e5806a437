"""`claimcheck reconcile`: compare buckets with the database, one JSON line a difference."""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.runtime.process import configure_logging
from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings, require_stores
from app.upkeep.reconcile import Finding, reconcile, sections

if TYPE_CHECKING:
    from argparse import _SubParsersAction

FOUND_STATUS: Final = 2
CAPPED_STATUS: Final = 3
_EVERY: Final = 10_000


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    what = "compare buckets and database in both directions, one JSON line a difference"
    status = f"Exit status {FOUND_STATUS} if any stands, {CAPPED_STATUS} at the limit: run it again"
    parser = commands.add_parser("reconcile", help=what, description=f"{what}. {status}.")
    parser.add_argument(
        "--apply", action="store_true", help="delete what uploads left behind; else only look"
    )
    parser.add_argument(
        "--limit", type=int, default=1000, help="end after so many differences (default: 1000)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="where to go on after an interruption"
    )
    parser.set_defaults(run=_reconcile)


class Checkpoint:
    """The last compared key of each section, in a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.keys: dict[str, str] = {}
        self.done: list[str] = []
        if path is not None and path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            self.keys, self.done = saved["keys"], saved["done"]

    def save(self) -> None:
        if self._path is not None:
            text = json.dumps({"keys": self.keys, "done": self.done})
            # Written whole and then renamed, so that it is never half a file.
            beside = self._path.with_name(f"{self._path.name}.new")
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._path)

    def clear(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _reconcile(options: argparse.Namespace) -> None:
    configure_logging()
    settings = load_settings()
    require_stores(settings)

    async def run() -> int:
        async with open_resources(settings) as res:
            return await _run(res, options, Checkpoint(options.checkpoint))

    status = asyncio.run(run())
    if status:
        sys.exit(status)


async def _run(res: Resources, options: argparse.Namespace, checkpoint: Checkpoint) -> int:
    console, compared, counts = Console(stderr=True), 0, Counter[str]()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("compared: 0")
        for section in sections(res.settings.destinations.values()):
            if section.name in checkpoint.done:
                continue

            def passed(key: str, name: str = section.name) -> None:
                nonlocal compared
                compared += 1
                checkpoint.keys[name] = key
                if compared % _EVERY == 0:
                    checkpoint.save()
                    bar.update(task, description=f"compared: {compared:,}")
                    if not console.is_terminal:
                        sys.stderr.write(f"compared: {compared:,}\n")

            after = checkpoint.keys.get(section.name, "")
            found = reconcile(res, section, after=after, apply=options.apply, passed=passed)
            try:
                async with aclosing(found):
                    async for finding in found:
                        _say(finding)
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


def _say(finding: Finding) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(finding), ensure_ascii=False) + "\n")
    sys.stdout.flush()
