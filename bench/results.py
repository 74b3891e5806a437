"""Results of a run: figures, ratios between two of them, and the claims they must bear out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from bench.load import Load

# Names of figures.
ANEW: Final = "claimcheck, each link signed anew"
SLICES: Final = "longest slice of the event loop, in announcements"
FIRST: Final = "longest slice of the first request, in announcements"
WORSE: Final = "longest slice of the worse round, in announcements"
LONGEST: Final = "the longest of them"
WRONG: Final = "moved twice or not at all"
WRONG_WHERE_SLOW: Final = "moved twice or not at all, where the store is slower than the time-out"
START: Final = "start to first answer"
MEMORY: Final = "memory of one worker"
USED: Final = "memory of one worker once it was used"
MORE: Final = "memory that more workers add"


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
    # By section: why it has no figures, or not all; and the seconds that it took.
    failed: dict[str, str] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

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
