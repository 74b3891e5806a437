"""Results of a run: figures, ratios between two of them, and the claims they must bear out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bench.load import Load

# Names of figures.
ANEW: Final = "claimcheck, each link signed anew"
SLICES: Final = "longest slice of the event loop, in announcements"
FIRST: Final = "longest slice of the first request, in announcements"
LONGEST: Final = "the longest of them"


@dataclass(frozen=True)
class Figure:
    """One measured number; `load` has the rest where it is a rate under load."""

    section: str
    name: str
    value: float
    unit: str
    load: Load | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times better `ours` is than `peer`; under 1 it is worse."""

    section: str
    ours: Figure
    peer: Figure
    value: float


@dataclass(frozen=True)
class Claim:
    """A line of "must show": `measured` is None where its peer could not run."""

    number: int
    text: str
    limit: float
    at_least: bool
    measured: float | None

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        return "met" if met else "NOT MET"


@dataclass
class Results:
    """Figures by section and name, in the order in which they were measured."""

    about: dict[str, Any]
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, section: str, name: str, value: float, unit: str) -> None:
        self.figures[section, name] = Figure(section, name, value, unit)

    def add_loads(self, section: str, loads: dict[str, Load]) -> None:
        for name, load in loads.items():
            self.figures[section, name] = Figure(section, name, load.rate, "requests/s", load)

    def get(self, section: str, name: str) -> Figure | None:
        return self.figures.get((section, name))

    def compare(self, section: str, ours: str, *peers: str) -> None:
        """Note how ours does against each of the peers that ran; rates: more is better."""
        mine = self.figures[section, ours]
        for name in peers:
            theirs = self.get(section, name)
            if theirs is not None:
                more_is_better = mine.unit.endswith("/s")
                value = mine.value / theirs.value if more_is_better else theirs.value / mine.value
                self.ratios.append(Ratio(section, mine, theirs, value))

    def times(self, section: str, above: str, below: str) -> float | None:
        """The first figure divided by the second, None unless both were measured."""
        first, second = self.get(section, above), self.get(section, below)
        return first.value / second.value if first and second else None

    def times_cpu(self, section: str, above: str, below: str) -> float | None:
        """The first case's processor time a request divided by the second's, as `times`."""
        first, second = self.get(section, above), self.get(section, below)
        loads = first and first.load, second and second.load
        return loads[0].cpu / loads[1].cpu if loads[0] and loads[1] else None

    def tail(self, section: str) -> float | None:
        """The time that one in a hundred of our answers takes at least, times the median."""
        figure = self.get(section, "claimcheck")
        return figure.load.p99 / figure.load.p50 if figure and figure.load else None

    def value(self, section: str, name: str) -> float | None:
        figure = self.get(section, name)
        return figure.value if figure else None

    def claims(self) -> list[Claim]:
        """The promises of this service about its speed, judged by this run's figures."""
        batch = self.get("announce by batch of 50", "claimcheck")
        alone = self.get("announce", "claimcheck")
        least: Callable[..., Claim] = lambda n, text, limit, x: Claim(n, text, limit, True, x)  # noqa: E731
        most: Callable[..., Claim] = lambda n, text, limit, x: Claim(n, text, limit, False, x)  # noqa: E731
        times, lists, get = self.times, "list of 100", "signing: GET"
        return [
            most(1, "plain GET link, times the floor", 2, times(get, "claimcheck", "floor")),
            least(1, "times faster than aioboto3, GET", 30, times(get, "aioboto3", "claimcheck")),
            least(
                1,
                "times faster than aioboto3, POST policy",
                10,
                times("signing: POST", "aioboto3", "claimcheck"),
            ),
            least(
                2,
                "announce with its row, times Companion's /s3/params",
                5,
                times("announce", "claimcheck", "Companion /s3/params"),
            ),
            least(
                2,
                "announce with its row, times an echo without one",
                0.55,
                times("announce", "claimcheck", "FastAPI echo"),
            ),
            least(
                2,
                "files announced by batch of 50, times those announced alone",
                4,
                batch and alone and batch.value * 50 / alone.value,
            ),
            most(
                3,
                "list of 100 with links, times the cost without",
                1.25,
                times(lists, "without links", "claimcheck"),
            ),
            most(
                3,
                "processor time of a list of 100 with links, times that without",
                1.25,
                self.times_cpu(lists, "claimcheck", "without links"),
            ),
            most(
                3,
                "list of 100 with each link signed anew, times the cost without links",
                1.5,
                times(lists, "without links, as many pages", ANEW),
            ),
            least(
                3,
                "times faster than the list signed by aioboto3",
                4,
                times(lists, "claimcheck", "signed by aioboto3"),
            ),
            most(
                3,
                "page 5,000 of 10^6 rows, times the cost of page 1",
                1.2,
                times(lists, "claimcheck", "claimcheck, page 5,000"),
            ),
            most(
                4,
                "1,000 links in one presign batch, times the cost of an echo of their size",
                10,
                times("presign batch of 1,000", "FastAPI echo", "claimcheck"),
            ),
            most(
                5,
                "longest slice of the event loop, times an announcement's processor time",
                10,
                self.value(SLICES, LONGEST),
            ),
            most(5, "p99 of 200 records, times their median", 4, self.tail("200 records")),
            most(5, "p99 of redirects, times their median", 3, self.tail("redirect")),
            most(
                6,
                "200 records with links, times the cost of 200 files listed with links",
                1.5,
                # Two pages of the list hold as many.
                (records := times("200 records", "list of 100", "claimcheck")) and records / 2,
            ),
            *(
                most(
                    6,
                    f"the panel's {page} of 10^6 files, times its cost of 10^3",
                    1.3,
                    times(f"panel, {page}", "few files", "many files"),
                )
                for page in ("first page", "filtered page")
            ),
            least(
                7,
                "announce with an RS256 JWT each, times the rate without authentication",
                0.85,
                times("authentication", "an RS256 JWT each", "auth = none"),
            ),
            least(
                8,
                "1 GiB by uploader.js, times the speed of boto3's TransferManager",
                0.9,
                times("a large file", "uploader.js", "boto3"),
            ),
            most(
                8,
                "growth of the service's memory meanwhile, MiB",
                5,
                self.value("a large file", "growth of the service's memory"),
            ),
            most(
                9,
                "abandoned uploads that two sweepers at once moved twice or not at all",
                0,
                self.value("abandoned uploads", "moved twice or not at all"),
            ),
            most(
                9,
                "peak memory of reconcile, MiB",
                200,
                self.value("bucket against database", "peak memory"),
            ),
            *(
                most(
                    11,
                    f"{section}, times Companion's",
                    1,
                    times(section, "claimcheck", "Companion"),
                )
                for section in ("start to first answer", "memory of one worker")
            ),
            most(
                11,
                "memory of one worker, MiB",
                105,
                self.value("memory of one worker", "claimcheck"),
            ),
            most(
                11,
                "memory that each further worker adds, MiB",
                40,
                self.value("memory that more workers add", "each further one"),
            ),
            most(
                10,
                "a value at its bound and at its worst, times the cost of a plain one",
                3,
                self.value("values at their bounds, times a plain one", "the worst of them"),
            ),
            most(
                11,
                "processor time of a confirm, times an announce's",
                3.5,
                self.value("a confirm", "processor time, times an announce's"),
            ),
            most(
                11,
                "requests to the store for a confirm without a checksum",
                1,
                self.value("a confirm", "requests to the store"),
            ),
            least(
                12,
                "1 GiB by the Python client, times the speed of boto3's TransferManager",
                0.95,
                times("a large file", "the Python client", "boto3"),
            ),
            most(
                12,
                "peak memory of the Python client, MiB",
                120,
                self.value("a large file", "peak memory of the Python client"),
            ),
            least(
                12,
                "objects adopted a second, times bare HEADs of them",
                0.7,
                self.value("objects adopted", "rate, times that of bare HEADs"),
            ),
            most(
                12,
                "peak memory of adopt, MiB",
                200,
                self.value("objects adopted", "peak memory"),
            ),
        ]
