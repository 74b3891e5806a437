"""Results as tables: on the console, and in RESULTS.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import claims
from bench.against import AGAIN, NEW, OLD, TOLERANCE, Comparison, Row
from bench.results import ANEW, Claim, Figure, Ratio, Results

RESULTS: Final = Path(__file__).parent / "RESULTS.md"
_HEAD: Final = """\
# The last whole run

Written by `make bench`. [README.md](README.md) says how to read it.
"""

# What the capacity page takes for one uploaded file, and for the shape of the day.
_PER_UPLOAD: Final = {"announce": 1, "confirm": 1, "redirect": 10, "list of 100": 1}
# Of a list, at worst.
_WHO: Final = {"list of 100": ANEW}
_PEAK: Final = 5  # times the month's mean
_BUSY: Final = 0.6  # of a core, at the peak
_MONTH: Final = 30 * 86_400  # seconds
_CLAIMED: Final = ["", "claim", "wanted", "measured", ""]

Rows = list[list[str]]


def show(console: Console, results: Results) -> None:
    """Ratios, figures, claims, and whatever was left out."""
    for title, head, rows in _tables(results):
        table = Table(*head, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for name, reason in results.skipped.items():
        console.print(f"Skipped: {name}: {reason}.")
    if results.took:
        console.print(_took(results))


def show_comparison(console: Console, comparison: Comparison, promised: list[Claim]) -> None:
    """A row for each case: rates, their ratio, requests a processor second, spread, ratio, verdict;
    and one for each claim.
    """
    commit = comparison.commit[:12]
    table = Table(
        *("", "old, requests/s", "again", "new", "new/old", "old, requests/CPU s", "again", "new"),
        *("spread", "new/old", ""),
        title=f"The working tree beside {commit}",
        title_justify="left",
    )
    for row in comparison.rows:
        table.add_row(*_comparison_row(row))
    console.print(table)
    if promised:
        table = Table(*_CLAIMED, title=f"Promised beside {commit}", title_justify="left")
        for claim in promised:
            table.add_row(*_claim_row(claim))
        console.print(table)
    console.print(
        f"Slower: new/old, of the requests a processor second, is below 1 by more than the spread "
        f"and {TOLERANCE:.0%}. The old build is {commit}; again is the same, measured once more."
    )
    for note in comparison.notes:
        console.print(f"Note: {note}")


def _comparison_row(row: Row) -> list[str]:
    return [
        row.name,
        *(_number(row.rate(who)) for who in (OLD, AGAIN, NEW)),
        f"{row.rate_ratio:.2f}",
        *(_number(row.per_cpu(who)) for who in (OLD, AGAIN, NEW)),
        *(f"{row.spread:.1%}", f"{row.ratio:.3f}"),
        "SLOWER" if row.is_slower else "no slower",
    ]


def write(results: Results) -> None:
    """Write RESULTS.md."""
    parts = [_HEAD, _markdown(results), "\n## Capacity\n", capacity(results)]
    RESULTS.write_text("\n".join(parts) + "\n")


def _markdown(results: Results) -> str:
    parts = [", ".join(f"{name}: {value}" for name, value in results.about.items()) + "."]
    for title, head, rows in _tables(results):
        parts.append(f"**{title}**\n\n{_table(head, rows)}")
    if results.skipped:
        lines = [f"- {name}: {reason}." for name, reason in results.skipped.items()]
        parts.append("Left out:\n" + "\n".join(lines))
    if results.failed:
        # As a traceback may be: where the source is on this machine is nobody's business.
        source = f"{Path(__file__).resolve().parents[1]}/"
        lines = [f"- {n}: {reason.replace(source, '')}" for n, reason in results.failed.items()]
        parts.append("Failed, so that not all was measured:\n" + "\n".join(lines))
    parts.append(_took(results))
    return "\n\n".join(parts)


def _took(results: Results) -> str:
    """How long each section took."""
    each = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in results.took.items())
    return f"Minutes: {each}; in all {sum(results.took.values()) / 60:.0f}."


def _table(head: list[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _tables(results: Results) -> list[tuple[str, list[str], Rows]]:
    figures = list(results.figures.values())
    loads = [figure for figure in figures if figure.load]
    compared = [figure for ratio in results.ratios for figure in (ratio.ours, ratio.peer)]
    others = [f for f in figures if not f.load and f not in compared]
    return [
        (
            "Ratios: how many times better than the peer",
            ["section", "peer", "ratio", "ours", "the peer's", "unit"],
            [_ratio_row(ratio) for ratio in results.ratios],
        ),
        (
            "Under load, 32 connections",
            [
                *("section", "who", "requests/s", "p50 ms", "p99 ms"),
                *("CPU us a request", "PostgreSQL's CPU us", "peak MiB"),
            ],
            [_load_row(figure) for figure in loads],
        ),
        (
            "Other figures",
            ["section", "what", "value", "unit"],
            [[f.section, f.name, _number(f.value), f.unit] for f in others],
        ),
        (
            "Must show",
            _CLAIMED,
            [_claim_row(claim) for claim in claims.judge(results)],
        ),
    ]


def _ratio_row(ratio: Ratio) -> list[str]:
    return [
        *(ratio.section, ratio.peer.name, f"{ratio.value:.2f}"),
        *(_number(ratio.ours.value), _number(ratio.peer.value), ratio.ours.unit),
    ]


def _load_row(figure: Figure) -> list[str]:
    load = figure.load
    assert load is not None
    return [
        *(figure.section, figure.name, _number(load.rate), f"{load.p50:.1f}", f"{load.p99:.1f}"),
        *(_number(load.cpu), _number(load.database_cpu), _number(load.memory)),
    ]


def _claim_row(claim: Claim) -> list[str]:
    measured = "" if claim.measured is None else _number(claim.measured)
    bound = "at least" if claim.at_least else "at most"
    return [str(claim.number), claim.text, f"{bound} {claim.limit:,}", measured, claim.verdict]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def capacity(results: Results) -> str:
    """The capacity table, from processor time a request: the cores that a month's uploads need.

    Empty of rows where a figure it stands on was not measured.
    """
    loads = {
        name: figure.load
        for (section, who), figure in results.figures.items()
        for name in _PER_UPLOAD
        # The section of confirm names the store as well.
        if figure.load
        and who == _WHO.get(name, "claimcheck")
        and section.partition(" (")[0] == name
    }
    row_bytes = results.value("database", "bytes a file, indexes included")
    if len(loads) < len(_PER_UPLOAD) or row_bytes is None:
        return "Not every figure that this page stands on was measured."
    service = sum(loads[name].cpu * count for name, count in _PER_UPLOAD.items())
    database = sum(loads[name].database_cpu * count for name, count in _PER_UPLOAD.items())
    one_core = _BUSY / (service / 1e6) / _PEAK * _MONTH
    one_database = _BUSY / (database / 1e6) / _PEAK * _MONTH
    rows = []
    for millions in (10, 100, 1000):
        mean = millions * 1e6 / _MONTH
        peak = mean * _PEAK
        rows.append(
            [
                *(f"{millions:,} million", f"{mean:,.0f}", f"{peak:,.0f}"),
                f"{peak * service / 1e6 / _BUSY:.1f}",
                f"{peak * database / 1e6 / _BUSY:.1f}",
                f"{millions * 1e6 * row_bytes / 2**30:,.0f} GiB",
            ]
        )
    head = [
        *("uploads a month", "mean/s", "peak/s", "service cores", "PostgreSQL cores"),
        "the table grows by",
    ]
    per = ", ".join(f"{count} x {name}" for name, count in _PER_UPLOAD.items())
    return (
        f"For each uploaded file: {per}. Peak {_PEAK} times the month's mean, cores busy to "
        f"{_BUSY:.0%} then. One file so costs {service / 1000:.2f} ms of a service's core and "
        f"{database / 1000:.2f} ms of PostgreSQL's; one service core carries "
        f"{one_core / 1e6:,.0f} million uploads a month, one PostgreSQL core "
        f"{one_database / 1e6:,.0f} million.\n\n{_table(head, rows)}"
    )
