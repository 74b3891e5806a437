"""Metrics for Prometheus, of one process or of several that serve together.

Workers keep their figures in files of one folder, and whichever is asked adds them up
(prometheus_client's "multiprocess mode"). `claimcheck serve` names the folder before it loads this
module; uvicorn's own workers, children of one process, name it after that parent. A process that is
alone keeps its figures in memory.
"""

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def _shared_folder() -> str:
    """The folder of this process's siblings; an earlier parent with the same number had another."""
    parent = os.getppid()
    born = ""
    with suppress(OSError):
        # Field 22 is the parent's start, in clock ticks since boot (proc(5)); fields are counted
        # from behind the name, which may hold blanks.
        stat = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8", errors="replace")
        born = stat.rpartition(")")[2].split()[19]
    folder = Path(tempfile.gettempdir()) / f"claimcheck-metrics-{os.getuid()}-{parent}-{born}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return str(folder)


# Before prometheus_client is imported, which looks at it then.
if _FOLDER not in os.environ and multiprocessing.parent_process() is not None:
    os.environ[_FOLDER] = _shared_folder()

from prometheus_client import (  # noqa: E402
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LAG_EVERY: Final = 0.25  # seconds
_LAG_KEPT: Final = 240  # measurements: a minute of them, the usual distance of two scrapes

_registry: Final = CollectorRegistry()
_requests: Final = Histogram(
    "claimcheck_request_seconds",
    "Time from a request's arrival to the end of its answer",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25),
    registry=_registry,
)
_uploads: Final = Counter(
    "claimcheck_uploads",
    "Uploads by what became of them",
    ("destination", "outcome"),
    registry=_registry,
)
_bytes: Final = Counter(
    "claimcheck_confirmed_bytes",
    "Bytes of the files that were confirmed",
    ("destination",),
    registry=_registry,
)
_credential_life: Final = Gauge(
    "claimcheck_credential_life_seconds",
    "How long the S3 credentials in use are still valid; +Inf for those without an end",
    registry=_registry,
    multiprocess_mode="livemostrecent",
)
_loop_lag: Final = Gauge(
    "claimcheck_event_loop_lag_seconds",
    "The longest that the event loop was late within the last minute",
    registry=_registry,
    multiprocess_mode="livemax",
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is the template, `/v1/files/{file_id}`: paths would be names without number."""
    _requests_of(method, route, status).observe(seconds)


# The children are kept anyway; to look one up takes as long as to count.
_requests_of: Final = lru_cache(maxsize=1024)(_requests.labels)
_uploads_of: Final = lru_cache(maxsize=1024)(_uploads.labels)


def count_upload(destination: str, outcome: str, size: int = 0) -> None:
    """Outcomes are `announced` and the states that end an upload; `size` in bytes if confirmed."""
    _uploads_of(destination, outcome).inc()
    if size:
        _bytes.labels(destination).inc(size)


def report(
    credential_life: float | None,
    swept: Mapping[str, int],
    scanned: Mapping[str, int],
    last_sweep: float | None,
) -> bytes:
    """The text exposition format, version 0.0.4.

    `credential_life` is in seconds, None: no end. `swept` has the totals of all sweeps by outcome,
    `scanned` those of scans by verdict, `last_sweep` the Unix time when one ended last, None: that
    is not known.
    """
    _credential_life.set(float("inf") if credential_life is None else credential_life)
    registry = _registry
    if _FOLDER in os.environ:
        _delete_gauges_of_dead_workers()
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    sweeps = CollectorRegistry()
    sweeps.register(_Totals(swept, scanned, last_sweep))
    return generate_latest(registry) + generate_latest(sweeps)


def _delete_gauges_of_dead_workers() -> None:
    """Delete the gauges of workers that were killed; their counters stay."""
    for file in Path(os.environ[_FOLDER]).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker is asked at the same moment
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # another user's process, and alive


class _Totals(Collector):
    """The figures of sweeps and scans, read from the database whichever process is asked."""

    def __init__(
        self, swept: Mapping[str, int], scanned: Mapping[str, int], last_sweep: float | None
    ) -> None:
        self._swept, self._scanned, self._last = swept, scanned, last_sweep

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "claimcheck_swept",
            "Uploads, removals and tombstones that sweeps took up, by what they made of them",
            labels=["outcome"],
        )
        for outcome, total in self._swept.items():
            family.add_metric([outcome], total)
        yield family
        if self._scanned:
            scans = CounterMetricFamily(
                "claimcheck_scans", "Verdicts on files by what they say", labels=["verdict"]
            )
            for verdict, total in self._scanned.items():
                scans.add_metric([verdict], total)
            yield scans
        if self._last is not None:
            yield GaugeMetricFamily(
                "claimcheck_last_sweep_timestamp_seconds",
                "When a sweep ended last, in Unix time",
                self._last,
            )


@asynccontextmanager
async def measured() -> AsyncIterator[None]:
    """Measures the event loop's lag until it is left."""
    task = asyncio.create_task(_watch_loop())
    try:
        yield
    finally:
        task.cancel()
        if _FOLDER in os.environ:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


async def _watch_loop() -> None:
    loop = asyncio.get_running_loop()
    late = [0.0] * _LAG_KEPT
    turn = 0
    while True:
        due = loop.time() + _LAG_EVERY
        await asyncio.sleep(_LAG_EVERY)
        late[turn] = max(0.0, loop.time() - due)
        turn = (turn + 1) % _LAG_KEPT
        _loop_lag.set(max(late))
