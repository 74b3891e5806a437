"""How much better than an older commit the working tree is to be: `--against f186b33 --claims`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.against import AGAIN, NEW, OLD, START, SWEPT, Comparison, Row
from bench.outside import PAGE
from bench.results import Claim

# The only commit that these are promised beside.
COMMIT: Final = "f186b33"
# Requests for one uploaded file, by the row of each; a list at worst, as the capacity page has it.
LIFE: Final = {"announce": 1, "confirm": 1, "redirect": 10, f"list of {PAGE}, signed anew": 1}


def judge(comparison: Comparison) -> list[Claim]:
    """The promises, judged by what was measured."""
    rows = {row.name: row for row in comparison.rows}

    def times(name: str) -> float | None:
        return rows[name].rate_ratio if name in rows else None

    start, confirm = times(START), _cost({"confirm": 1}, rows, Row.per_own_cpu)
    return [
        Claim(1, "confirms a second, times the commit's", 3, True, times("confirm")),
        # Where the core of the store and PostgreSQL is the busy one, the rate is not the service's.
        Claim(
            1,
            "confirms a second of the service's processor time, times the commit's",
            *(3, True, confirm and 1 / confirm),
        ),
        Claim(2, "uploads swept a second by two, times the commit's", 2, True, times(SWEPT)),
        Claim(3, "redirects a second, times the commit's", 2, True, times("redirect")),
        Claim(4, f"{START}, times the commit's", 0.5, False, start and 1 / start),
        Claim(
            8,
            "one file's life, processor time of service and PostgreSQL, times the commit's",
            *(0.52, False, _cost(LIFE, rows, Row.per_cpu)),
        ),
        Claim(
            8,
            "one file's life, processor time of the service alone, times the commit's",
            *(0.52, False, _cost(LIFE, rows, Row.per_own_cpu)),
        ),
    ]


def _cost(
    requests: Mapping[str, int], rows: Mapping[str, Row], per_second: Callable[[Row, str], float]
) -> float | None:
    """The processor time of so many requests, times the mean of what it was before."""
    if not requests.keys() <= rows.keys():
        return None
    old, again, new = (
        sum(count / per_second(rows[name], who) for name, count in requests.items())
        for who in (OLD, AGAIN, NEW)
    )
    return 2 * new / (old + again)
