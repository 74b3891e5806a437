"""The working tree beside another commit, `--against REV`: is anything slower than it was?

Three services run side by side: the commit, the commit once more, and the working tree. Short runs
of the same requests take turns between them, forth and back, so that a machine that gets faster or
slower does so for all three. They are started anew for each block of rounds, because two processes
of the same code differ by a percent or so, each for as long as it lives. How far the commit is from
itself is the spread, below which a difference means nothing.

Judged by processor time, the service's and PostgreSQL's together: the rate depends on what else the
machine does, the processor time of a request hardly.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from bench import abandoned, outside
from bench.builds import (
    WORKING_TREE,
    Build,
    build_at,
    create_database,
    create_key,
    find_commit,
    has_same_lock,
    work_tree,
)
from bench.outside import SECTIONS, Case, Site
from bench.sender import Send, as_http, open_sender
from bench.servers import Cores, durable_postgres, tree_cpu_seconds
from bench.store import open_store
from tests.support.stores import rgw

TOLERANCE: Final = 0.03
# Sections beside those of requests, and their rows.
PROCESS: Final = "process"
SWEEP: Final = "sweep"
START: Final = "start to first answer"
SWEPT: Final = "sweep by two at once"
OLD, AGAIN, NEW = WHO = ("old", "again", "new")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much to measure: so many blocks, each of so many rounds, an even number."""

    blocks: int
    rounds: int
    sweeps: int = 2
    uploads: int = 200  # to sweep


FULL: Final = Plan(blocks=4, rounds=6, sweeps=4, uploads=4000)
QUICK: Final = Plan(blocks=1, rounds=2)


@dataclass(frozen=True)
class Sample:
    """One run: requests a second, and requests a second of processor time; and of the service's
    alone, where it can be told from PostgreSQL's.
    """

    rate: float
    per_cpu: float
    per_own_cpu: float = 0.0


@dataclass
class Row:
    """A case as measured on each of the three, a sample a round."""

    name: str
    samples: dict[str, list[Sample]] = field(default_factory=lambda: {who: [] for who in WHO})

    def rate(self, who: str) -> float:
        """Requests a second, the median."""
        return statistics.median(sample.rate for sample in self.samples[who])

    def per_cpu(self, who: str) -> float:
        """Requests a second of processor time, the median."""
        return statistics.median(sample.per_cpu for sample in self.samples[who])

    def per_own_cpu(self, who: str) -> float:
        """Requests a second of the service's own processor time, the median."""
        return statistics.median(sample.per_own_cpu for sample in self.samples[who])

    @property
    def spread(self) -> float:
        """How far the commit is from itself, as a fraction."""
        rounds = zip(self.samples[OLD], self.samples[AGAIN], strict=True)
        return abs(statistics.median(again.per_cpu / old.per_cpu for old, again in rounds) - 1)

    @property
    def ratio(self) -> float:
        """Requests per processor second of the working tree, times the commit's; under 1: slower.

        The median of the rounds, in each of which the commit's two runs are averaged.
        """
        return self._ratio(lambda sample: sample.per_cpu)

    @property
    def rate_ratio(self) -> float:
        """Requests a second of the working tree, times the commit's, as `ratio`."""
        return self._ratio(lambda sample: sample.rate)

    def _ratio(self, figure: Callable[[Sample], float]) -> float:
        rounds = zip(*(map(figure, self.samples[who]) for who in WHO), strict=True)
        return statistics.median(2 * new / (old + again) for old, again, new in rounds)

    @property
    def is_slower(self) -> bool:
        return self.ratio < 1 - self.spread - TOLERANCE


@dataclass(frozen=True)
class Comparison:
    """Whose rows these are, and what the reader is to know of them."""

    commit: str
    rows: list[Row]
    notes: list[str]

    @property
    def slower(self) -> list[str]:
        return [row.name for row in self.rows if row.is_slower]


def measure(rev: str, sections: list[str], plan: Plan, cores: Cores, say: Say) -> Comparison:
    """Measure these sections on the commit that `rev` names and on the working tree.

    A row that looks slower is measured once more, as long again, and judged by all its runs.
    Raises BenchError if one of the builds cannot be run.
    """
    commit = find_commit(rev)
    with ExitStack() as stack:
        say(f"checking {commit[:12]} out into a work tree of its own")
        tree = stack.enter_context(work_tree(commit))
        notes = []
        if not has_same_lock(tree):
            notes.append(f"{commit[:12]} locks other packages; it ran with the working tree's.")
        say("starting PostgreSQL, durable, and a store")
        bench = stack.enter_context(_open_bench(tree, cores, plan))
        notes.append(f"The store behind each is {bench.store}.")
        rows: dict[str, Row] = {}
        wanted = [name for name in SECTIONS if name in sections]
        for block in range(plan.blocks if wanted else 0):
            say(f"block {block + 1} of {plan.blocks}")
            bench.measure_block(wanted, plan.rounds, rows)
        if PROCESS in sections:
            say("starting each in turn")
            notes.append(bench.measure_starts(plan.rounds, rows.setdefault(START, Row(START))))
        if SWEEP in sections and (missing := rgw.available()):
            notes.append(f"No sweep was measured: {missing}.")
        elif SWEEP in sections:
            say(f"sweeping {plan.uploads:,} uploads of each in turn")
            bench.measure_sweeps(rows.setdefault(SWEPT, Row(SWEPT)))
        suspects = {name for name, row in rows.items() if row.is_slower}
        for name, measure_again in (
            (START, lambda: bench.measure_starts(plan.rounds, rows[START])),
            (SWEPT, lambda: bench.measure_sweeps(rows[SWEPT])),
        ):
            if name in suspects:
                say(f"once more, {name}")
                measure_again()
                suspects.remove(name)
        for block in range(plan.blocks if suspects else 0):
            say(f"once more, {', '.join(sorted(suspects))}: block {block + 1} of {plan.blocks}")
            bench.measure_block(wanted, plan.rounds, rows, only=suspects)
    return Comparison(commit, list(rows.values()), notes)


@dataclass(frozen=True)
class _Bench:
    builds: Mapping[str, Build]
    keys: Mapping[str, str]
    store: str
    send: Send
    database_pid: int
    cores: Cores
    scratch: Path
    plan: Plan

    def measure_block(
        self, sections: list[str], rounds: int, rows: dict[str, Row], only: set[str] | None = None
    ) -> None:
        """Start the three services, add a sample a round to the rows, stop them."""
        with ExitStack() as stack:
            sites = {who: stack.enter_context(self._site(who)) for who in WHO}
            for section in sections:
                for cases in zip(*(SECTIONS[section](sites[who]) for who in WHO), strict=True):
                    name = cases[0].name
                    if only is None or name in only:
                        row = rows.setdefault(name, Row(name))
                        self._measure_row(sites, dict(zip(WHO, cases, strict=True)), rounds, row)

    def measure_starts(self, rounds: int, row: Row) -> str:
        """Start each build in turn; rates of the row are starts a second. Returns what is to be
        said of the memory that they take.
        """
        memory: dict[str, list[float]] = {who: [] for who in WHO}
        for turn in range(rounds):
            for who in _turns(turn):
                log = self.scratch / f"{who}-start.log"
                with self.builds[who].deployed(cores={self.cores.service}, log=log) as server:
                    spent = server.cpu_seconds()
                    row.samples[who].append(Sample(1 / server.started_in, 1 / spent))
                    memory[who].append(server.memory_mib())
        old, again, new = (statistics.median(memory[who]) for who in WHO)
        return (
            f"One process takes {new:.0f} MiB when it has answered first; "
            f"it took {old:.0f} and {again:.0f}."
        )

    def measure_sweeps(self, row: Row) -> None:
        """Sweep uploads of each build in turn, on a store of its own; both may use both cores."""
        buckets = [_bucket(who) for who in WHO]
        os.sched_setaffinity(0, {self.cores.service, self.cores.rest})
        try:
            with open_store(buckets, self.scratch / "sweep-bucket.log") as store:
                builds = {who: self.builds[who].with_settings(store.settings) for who in WHO}
                bench = replace(self, builds=builds)
                for turn in range(self.plan.sweeps):
                    for who in _turns(turn):
                        row.samples[who].append(bench._sweep(who))
        finally:
            os.sched_setaffinity(0, {self.cores.rest})

    def _sweep(self, who: str) -> Sample:
        build, count = self.builds[who], self.plan.uploads
        with self._site(who) as site:
            ids = abandoned.abandon(site, build, count)
        seconds, spent = abandoned.sweep(build, ids, self.scratch, self.database_pid)
        return Sample(count / seconds, count / spent)

    @contextmanager
    def _site(self, who: str) -> Iterator[Site]:
        """The build's service, running."""
        # A connection that is kept may be closed by the server just as it is used again.
        limits = httpx.Limits(max_keepalive_connections=0)
        log = self.scratch / f"{who}.log"
        with (
            httpx.Client(trust_env=False, timeout=30, limits=limits) as client,
            self.builds[who].serve(cores={self.cores.service}, log=log) as server,
        ):
            yield Site(server, self.keys[who], client)

    def _measure_row(
        self, sites: dict[str, Site], cases: dict[str, Case], rounds: int, row: Row
    ) -> None:
        for who in WHO:  # warms up: pools, caches, prepared statements
            self._run(sites[who], cases[who])
        for turn in range(rounds):
            for who in _turns(turn):
                row.samples[who].append(self._run(sites[who], cases[who]))

    def _run(self, site: Site, case: Case) -> Sample:
        paths = case.prepare()
        requests = _requests(site, case, paths)
        own, database = site.server.cpu_seconds(), tree_cpu_seconds(self.database_pid)
        seconds = self.send(site.server.url, requests)
        own = site.server.cpu_seconds() - own
        database = tree_cpu_seconds(self.database_pid) - database
        case.check(paths)
        count = len(paths)
        return Sample(count / seconds, count / (own + database), count / own)


def _turns(turn: int) -> tuple[str, ...]:
    """Forth and back: the working tree's turn is as early as the mean of the other two."""
    return (OLD, NEW, AGAIN) if turn % 2 == 0 else (AGAIN, NEW, OLD)


def _requests(site: Site, case: Case, paths: list[str]) -> list[str]:
    """The requests of one run."""
    headers = {"Authorization": f"Bearer {site.key}"}
    return [as_http(site.server.url, case.method, path, case.body, headers) for path in paths]


@contextmanager
def _open_bench(tree: Path, cores: Cores, plan: Plan) -> Iterator[_Bench]:
    """Start PostgreSQL and the store; give each of the three a database, a bucket and a key."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="claimcheck-bench-")))
        send = stack.enter_context(open_sender())
        dsn, database_pid = stack.enter_context(durable_postgres())
        store = stack.enter_context(open_store([*map(_bucket, WHO)], scratch / "bucket.log"))
        settings = store.settings | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_SECRET_KEY": secrets.token_hex(32),
            "CLAIMCHECK_DESTINATIONS": json.dumps(outside.DESTINATIONS),
        }
        old = build_at(tree, settings | _place(create_database(dsn, OLD), OLD))
        new = build_at(WORKING_TREE, settings | _place(create_database(dsn, NEW), NEW))
        keys = {}
        for who, build in ((OLD, old), (NEW, new)):
            build.python("-m", "app.cli", "migrate")
            keys[who] = create_key(build)
        # The same build on a copy of its database, key and all.
        again = old.with_settings(_place(create_database(dsn, AGAIN, template=OLD), AGAIN))
        keys[AGAIN] = keys[OLD]
        builds = {OLD: old, AGAIN: again, NEW: new}
        yield _Bench(builds, keys, store.name, send, database_pid, cores, scratch, plan)


def _place(dsn: str, who: str) -> dict[str, str]:
    """Where one of the three keeps rows and objects."""
    return {"DATABASE_URL": dsn, "AWS_STORAGE_BUCKET_NAME": _bucket(who)}


def _bucket(who: str) -> str:
    """Its bucket; the names are of one length, as URLs go."""
    return f"bench-{WHO.index(who)}"
