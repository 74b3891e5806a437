"""The promises of this service about its speed, judged by the figures of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from bench.results import (
    ANEW,
    LONGEST,
    MEMORY,
    MORE,
    SLICES,
    START,
    WRONG,
    WRONG_WHERE_SLOW,
    Claim,
    Results,
)

# What a promise is judged by; None where it was not measured.
Measured = Callable[[Results], float | None]
_US, _LIST, _ECHO = "claimcheck", "list of 100", "FastAPI echo"
_SWEEP, _LARGE, _CONFIRM = "abandoned uploads", "a large file", "a confirm"


class _Promise(NamedTuple):
    number: int
    text: str
    limit: float
    measured: Measured


class _Least(_Promise):
    """At least the limit."""


class _Most(_Promise):
    """At most the limit."""


def judge(results: Results) -> list[Claim]:
    """The promises, and what was measured of each."""
    return [
        Claim(each.number, each.text, each.limit, isinstance(each, _Least), each.measured(results))
        for each in _PROMISES
    ]


def _times(section: str, above: str, below: str) -> Measured:
    return lambda results: results.times(section, above, below)


def _times_cpu(section: str, above: str, below: str) -> Measured:
    return lambda results: results.times_cpu(section, above, below)


def _tail(section: str) -> Measured:
    return lambda results: results.tail(section)


def _value(section: str, name: str) -> Measured:
    return lambda results: results.value(section, name)


def _by_batch(results: Results) -> float | None:
    batch, alone = results.value("announce by batch of 50", _US), results.value("announce", _US)
    return batch and alone and batch * 50 / alone


def _beside_two_pages(results: Results) -> float | None:
    times = results.times("200 records", _LIST, _US)
    return times and times / 2


_PROMISES: Final[list[_Promise]] = [
    _Most(1, "plain GET link, times the floor", 2, _times("signing: GET", _US, "floor")),
    _Least(1, "times faster than aioboto3, GET", 30, _times("signing: GET", "aioboto3", _US)),
    _Least(
        1, "times faster than aioboto3, POST policy", 10, _times("signing: POST", "aioboto3", _US)
    ),
    _Least(
        2,
        "announce with its row, times Companion's /s3/params",
        5,
        _times("announce", _US, "Companion /s3/params"),
    ),
    _Least(
        2, "announce with its row, times an echo without one", 0.55, _times("announce", _US, _ECHO)
    ),
    _Least(2, "files announced by batch of 50, times those announced alone", 4, _by_batch),
    _Most(
        3,
        "list of 100 with links, times the cost without",
        1.25,
        _times(_LIST, "without links", _US),
    ),
    _Most(
        3,
        "processor time of a list of 100 with links, times that without",
        1.25,
        _times_cpu(_LIST, _US, "without links"),
    ),
    _Most(
        3,
        "list of 100 with each link signed anew, times the cost without links",
        1.5,
        _times(_LIST, "without links, as many pages", ANEW),
    ),
    _Least(
        3,
        "times faster than the list signed by aioboto3",
        4,
        _times(_LIST, _US, "signed by aioboto3"),
    ),
    _Most(
        3,
        "page 5,000 of 10^6 rows, times the cost of page 1",
        1.2,
        _times(_LIST, _US, "claimcheck, page 5,000"),
    ),
    _Most(
        4,
        "1,000 links in one presign batch, times the cost of an echo of their size",
        10,
        _times("presign batch of 1,000", _ECHO, _US),
    ),
    _Most(
        5,
        "longest slice of the event loop, times an announcement's processor time",
        10,
        _value(SLICES, LONGEST),
    ),
    _Most(5, "p99 of 200 records, times their median", 4, _tail("200 records")),
    _Most(5, "p99 of redirects, times their median", 3, _tail("redirect")),
    _Most(
        6,
        "200 records with links, times the cost of 200 files listed with links",
        1.5,
        _beside_two_pages,
    ),
    *(
        _Most(
            6,
            f"the panel's {page} of 10^6 files, times its cost of 10^3",
            1.3,
            _times(f"panel, {page}", "few files", "many files"),
        )
        for page in ("first page", "filtered page")
    ),
    _Least(
        7,
        "announce with an RS256 JWT each, times the rate without authentication",
        0.85,
        _times("authentication", "an RS256 JWT each", "auth = none"),
    ),
    _Least(
        8,
        "1 GiB by uploader.js, times the speed of boto3's TransferManager",
        0.9,
        _times(_LARGE, "uploader.js", "boto3"),
    ),
    _Most(
        8,
        "growth of the service's memory meanwhile, MiB",
        5,
        _value(_LARGE, "growth of the service's memory"),
    ),
    _Most(
        9,
        "abandoned uploads that two sweepers at once moved twice or not at all",
        0,
        _value(_SWEEP, WRONG),
    ),
    _Most(
        9,
        "those of a store that answers later than the client's time-out",
        0,
        _value(_SWEEP, WRONG_WHERE_SLOW),
    ),
    _Most(
        9, "peak memory of reconcile, MiB", 200, _value("bucket against database", "peak memory")
    ),
    _Most(
        10,
        "a value at its bound and at its worst, times the cost of a plain one",
        3,
        _value("values at their bounds, times a plain one", "the worst of them"),
    ),
    *(
        _Most(11, f"{section}, times Companion's", 1, _times(section, _US, "Companion"))
        for section in (START, MEMORY)
    ),
    _Most(11, "memory of one worker, MiB", 105, _value(MEMORY, _US)),
    _Most(
        11,
        "memory that a second worker adds, once all were used, MiB",
        40,
        _value(MORE, "the second, and the watch, once used"),
    ),
    _Most(
        11,
        "processor time of a confirm, times an announce's",
        3.5,
        _value(_CONFIRM, "processor time, times an announce's"),
    ),
    _Most(
        11,
        "requests to the store for a confirm without a checksum",
        1,
        _value(_CONFIRM, "requests to the store"),
    ),
    _Least(
        12,
        "1 GiB by the Python client, times the speed of boto3's TransferManager",
        0.95,
        _times(_LARGE, "the Python client", "boto3"),
    ),
    _Most(
        12,
        "peak memory of the Python client, MiB",
        120,
        _value(_LARGE, "peak memory of the Python client"),
    ),
    _Least(
        12,
        "objects adopted a second, times bare HEADs of them",
        0.7,
        _value("objects adopted", "rate, times that of bare HEADs"),
    ),
    _Most(12, "peak memory of adopt, MiB", 200, _value("objects adopted", "peak memory")),
]
