"""Measure the service beside its peers, or beside another commit of itself; print the results.

With no sections named, all of them are measured and written to bench/RESULTS.md. With --against,
the sections are announce, confirm, read, process and sweep (all five if none is named), and nothing
is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from rich.console import Console

from bench import against, claims, improved, outside, report, signing
from bench.builds import describe_tree
from bench.load import require_wrk
from bench.results import Claim, Results
from bench.sections import (
    adoption,
    authentication,
    bounds,
    large,
    leftovers,
    panel,
    pauses,
    process,
    reading,
    records,
    uploads,
)
from bench.servers import BenchError, Cores
from bench.stack import FULL, QUICK, Stack, open_stack

# Uploads come before the rows, so that they meet a small table; `read` and `redirect` need the rows
# of `grow`.
SECTIONS: Final[dict[str, Callable[[Stack], None]]] = {
    "announce": uploads.announce,
    "authentication": authentication.announce,
    "confirm": uploads.confirm,
    "pauses": pauses.measure,
    "process": process.start_and_memory,
    "workers": process.workers,
    "large": large.upload,
    "bounds": bounds.measure,
    "records": records.read,
    "rows": reading.grow,
    "read": reading.read,
    "redirect": reading.redirect,
    "panel": panel.files,
    "sweep": leftovers.sweep,
    "reconcile": leftovers.reconcile,
    "adopt": adoption.adopt,
}
# Those of `--against`.
_COMPARED: Final = (*outside.SECTIONS, against.PROCESS, against.SWEEP)


def main() -> None:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        if options.against is None:
            _beside_peers(options, console)
        else:
            _beside_commit(options, console)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"signing, {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="short runs, small tables; for a look, not a verdict"
    )
    parser.add_argument(
        "--against",
        metavar="REV",
        help=f"compare with this commit; sections: {', '.join(_COMPARED)}",
    )
    parser.add_argument(
        "--claims",
        action="store_true",
        help=f"with --against {improved.COMMIT}: judge by what is promised beside it, not by what "
        "is slower",
    )
    options = parser.parse_args()
    if options.claims and not (options.against or "").startswith(improved.COMMIT):
        parser.error(f"--claims are those beside --against {improved.COMMIT}")
    known = {"signing", *SECTIONS} if options.against is None else set(_COMPARED)
    if unknown := set(options.sections) - known:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    needy = {"read", "redirect"} & set(options.sections)
    if options.against is None and needy and "rows" not in options.sections:
        parser.error(f"{min(needy)} needs the rows that the section rows makes: name both")
    return options


def _beside_peers(options: argparse.Namespace, console: Console) -> None:
    results = _measure(options.sections or ["signing", *SECTIONS], console, quick=options.quick)
    report.show(console, results)
    if options.quick or options.sections:
        console.print("Not a whole run: bench/RESULTS.md is left as it is.")
    else:
        report.write(results)
        console.print("Written: bench/RESULTS.md.")
    if results.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in results.failed.items())
        console.print(f"Failed: {reasons}")
    missed = [] if options.quick else _missed(claims.judge(results))
    _end(failed=list(results.failed), missed=missed)


def _beside_commit(options: argparse.Namespace, console: Console) -> None:
    comparison = against.measure(
        options.against,
        options.sections or list(_COMPARED),
        against.QUICK if options.quick else against.FULL,
        Cores.take(),
        partial(_say, console),
    )
    promised = improved.judge(comparison) if options.claims else []
    report.show_comparison(console, comparison, promised)
    if options.claims:
        _end(failed=[], missed=_missed(promised))
    elif comparison.slower:
        sys.exit(f"bench: slower than {options.against}: {', '.join(comparison.slower)}")


def _missed(promised: list[Claim]) -> list[str]:
    return [claim.text for claim in promised if claim.verdict == "NOT MET"]


def _end(*, failed: list[str], missed: list[str]) -> None:
    """Exit with status 1 if anything failed or was not met."""
    parts = [("failed", failed), ("not met", missed)]
    if said := [f"{what}: {'; '.join(names)}" for what, names in parts if names]:
        sys.exit(f"bench: {'. '.join(said)}")


def _say(console: Console, what: str) -> None:
    console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/dim] {what}", highlight=False)


def _measure(chosen: list[str], console: Console, *, quick: bool) -> Results:
    require_wrk()
    results = Results(about=_about())
    cores = Cores.take()
    plan = QUICK if quick else FULL

    say = partial(_say, console)
    run_section = partial(_run_section, results, say, len(set(chosen)))
    if "signing" in chosen:
        run_section("signing", partial(signing.measure, results, spells=plan.spells, say=say))
    wanted = [(name, run) for name, run in SECTIONS.items() if name in chosen]
    if wanted:
        with open_stack(plan, cores, results, say) as stack:
            for name, run in wanted:
                run_section(name, partial(run, stack))
    results.about["load average at the end"] = f"{os.getloadavg()[0]:.1f}"
    return results


def _run_section(
    results: Results, say: Callable[[str], None], count: int, name: str, run: Callable[[], None]
) -> None:
    """Run one of so many sections. If it fails, that is noted, and the others are measured."""
    start = time.perf_counter()
    try:
        run()
    except Exception as error:
        results.failed[name] = str(error) if isinstance(error, BenchError) else repr(error)
        say(f"{name} failed: {results.failed[name]}")
    results.took[name] = time.perf_counter() - start
    say(
        f"{name} took {results.took[name] / 60:.1f} minutes: {len(results.took)} of {count} "
        f"sections, {sum(results.took.values()) / 60:.1f} minutes"
    )


def _about() -> dict[str, Any]:
    names = ("fastapi", "uvicorn", "asyncpg", "sqlalchemy", "aioboto3", "boto3", "pydantic")
    return {
        "commit": _commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": len(os.sched_getaffinity(0)),
        "Python": platform.python_version(),
        **{name: version(name) for name in names},
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
    }


def _commit() -> str:
    try:
        return describe_tree()
    except BenchError:
        return "not of a repository"


if __name__ == "__main__":
    # So that servers, databases and the work tree are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    main()
