"""The benchmark is not run here, but it must not be left behind by what it measures."""

import importlib
import json
import os
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote, urlencode

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import bench
from app.settings.model import Settings, load_settings
from bench import __main__ as command
from bench import claims, report, rows
from bench import load as bench_load
from bench.load import Case, Load
from bench.peers import echo
from bench.results import MORE, SLICES, WRONG, WRONG_WHERE_SLOW, Results
from bench.sections import leftovers, process, reading, uploads
from bench.sections.uploads import ANNOUNCEMENT
from bench.servers import BenchError, Server
from tests.support.service import UNKNOWN_ID, running

# Django is the benchmark's alone, in an environment of its own.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(bench.__path__, "bench.")
    if module.name != "bench.peers.django_site"
]


@pytest.mark.parametrize("name", MODULES)
def test_it_finds_what_it_measures(name: str) -> None:
    importlib.import_module(name)


async def test_the_echo_answers_what_the_service_is_asked(settings: Settings) -> None:
    app: FastAPI = echo.create_app(settings)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path, body, status in (
            ("/v1/uploads", ANNOUNCEMENT, 201),
            ("/v1/uploads/batch", {"uploads": [ANNOUNCEMENT]}, 200),
            (f"/v1/uploads/{UNKNOWN_ID}/confirm", None, 200),
            ("/v1/files/presign", {"ids": [UNKNOWN_ID]}, 200),
        ):
            assert (await client.post(path, json=body)).status_code == status
        assert (await client.get(f"/v1/files/{UNKNOWN_ID}/content")).status_code == 302


async def test_the_echo_of_a_thousand_links_is_as_long_as_the_links(
    environ: dict[str, str], database_url: str
) -> None:
    settings = load_settings(environ | {"AWS_STORAGE_BUCKET_NAME": rows.BUCKET})
    endpoint = settings.destinations["images"].stored_endpoint
    db = await asyncpg.connect(database_url)
    await rows.fill(db, echo.NUMBERS[0], echo.NUMBERS[-1], endpoint)
    ids = await rows.newest_ids(db, len(echo.NUMBERS))
    await db.close()
    transport = httpx.ASGITransport(echo.create_app(settings))
    async with (
        running(settings) as ours,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as theirs,
    ):
        answers = [
            await client.post("/v1/files/presign", json={"ids": ids}) for client in (ours, theirs)
        ]
        content = [
            (await client.get(f"/v1/files/{ids[-1]}/content")).headers["location"]
            for client in (ours, theirs)
        ]
    assert "problem" not in answers[0].text
    assert len(answers[0].content) == len(answers[1].content)
    assert len(content[0]) == len(content[1])


LIST, ANEW = "list of 100", "claimcheck, each link signed anew"


def load(rate: float, cpu: float = 0.0, database_cpu: float = 0.0) -> Load:
    return Load(rate=rate, p50=1.0, p99=2.0, cpu=cpu, database_cpu=database_cpu)


# Figures of a section, and what then is said of each claim that they decide.
CLAIMS: list[tuple[str, dict[str, float], dict[str, str]]] = [
    ("signing: GET", {"claimcheck": 5, "aioboto3": 150}, {"aioboto3, GET": "met"}),
    ("signing: GET", {"claimcheck": 5, "floor": 2.5}, {"floor": "met"}),
    ("signing: GET", {"claimcheck": 5.1, "floor": 2.5}, {"floor": "NOT MET"}),
    ("signing: GET", {"claimcheck": 5, "aioboto3": 149}, {"aioboto3, GET": "NOT MET"}),
    ("signing: GET", {"claimcheck": 5}, {"floor": "not measured"}),
    ("signing: POST", {"claimcheck": 9, "aioboto3": 90}, {"POST": "met"}),
    ("announce", {"claimcheck": 499, "Companion /s3/params": 100}, {"/s3/params": "NOT MET"}),
    ("announce", {"claimcheck": 55, "FastAPI echo": 100}, {"an echo without": "met"}),
    ("announce", {"claimcheck": 54, "FastAPI echo": 100}, {"an echo without": "NOT MET"}),
    (LIST, {"claimcheck": 100, "without links": 125}, {"links, times the cost without": "met"}),
    (LIST, {"claimcheck": 99, "without links": 125}, {"links, times the cost without": "NOT MET"}),
    (LIST, {ANEW: 100, "without links, as many pages": 150}, {"anew": "met"}),
    (LIST, {ANEW: 100, "without links, as many pages": 151}, {"anew": "NOT MET"}),
    (LIST, {"claimcheck": 40, "signed by aioboto3": 10}, {"by aioboto3": "met"}),
    (LIST, {"claimcheck": 121, "claimcheck, page 5,000": 100}, {"page 5,000": "NOT MET"}),
    ("presign batch of 1,000", {"claimcheck": 10, "FastAPI echo": 100}, {"an echo of": "met"}),
    (SLICES, {"the longest of them": 10}, {"event loop": "met"}),
    (SLICES, {"the longest of them": 10.1}, {"event loop": "NOT MET"}),
    ("200 records", {"claimcheck": 100, LIST: 301}, {"200 records with": "NOT MET"}),
    ("authentication", {"an RS256 JWT each": 84, "auth = none": 100}, {"RS256": "NOT MET"}),
    ("a large file", {"uploader.js": 90, "boto3": 100}, {"uploader.js": "met"}),
    ("a large file", {"the Python client": 94, "boto3": 100}, {"the Python client, t": "NOT MET"}),
    ("a large file", {"peak memory of the Python client": 120}, {"Python client, MiB": "met"}),
    ("a large file", {"growth of the service's memory": 6}, {"growth": "NOT MET"}),
    ("abandoned uploads", {WRONG: 1}, {"moved twice": "NOT MET"}),
    ("abandoned uploads", {WRONG_WHERE_SLOW: 1}, {"than the client's": "NOT MET"}),
    ("abandoned uploads", {WRONG_WHERE_SLOW: 0}, {"than the client's": "met"}),
    ("start to first answer", {"claimcheck": 601, "Companion": 600}, {"start to first": "NOT MET"}),
    ("memory of one worker", {"claimcheck": 106}, {"worker, MiB": "NOT MET"}),
    (
        MORE,
        {"the second, and the watch, once used": 40, "the third": 99},
        {"worker adds": "met"},
    ),
    (
        MORE,
        {"the second, and the watch, once used": 41, "the third": 0},
        {"worker adds": "NOT MET"},
    ),
    ("memory of one worker once it was used", {"claimcheck": 200}, {}),
    ("bucket against database", {"peak memory": 200}, {"reconcile": "met"}),
    ("a confirm", {"processor time, times an announce's": 3.6}, {"of a confirm": "NOT MET"}),
    ("a confirm", {"requests to the store": 1}, {"to the store": "met"}),
    ("a confirm", {"requests to the store": 2}, {"to the store": "NOT MET"}),
    ("objects adopted", {"rate, times that of bare HEADs": 0.69}, {"bare HEADs": "NOT MET"}),
    ("objects adopted", {"peak memory": 200}, {"memory of adopt": "met"}),
]


@pytest.mark.parametrize(("section", "figures", "verdicts"), CLAIMS)
def test_what_is_claimed_is_judged_by_what_was_measured(
    section: str, figures: dict[str, float], verdicts: dict[str, str]
) -> None:
    results = Results(about={})
    for name, value in figures.items():
        results.add(section, name, value, "")
    judged = claims.judge(results)
    for words, verdict in verdicts.items():
        [claim] = [claim for claim in judged if words in claim.text]
        assert claim.verdict == verdict, claim
    measured = [claim.text for claim in judged if claim.measured is not None]
    assert len(measured) == sum(verdict != "not measured" for verdict in verdicts.values())


def test_what_is_claimed_of_processor_time_and_tails_and_batches() -> None:
    def met(alone: float, batches: float, cpu: float, p99: float) -> dict[str, str]:
        results = Results(about={})
        results.add("announce", "claimcheck", alone, "requests/s")
        results.add("announce by batch of 50", "claimcheck", batches, "requests/s")
        loads = {"claimcheck": load(1, cpu=cpu), "without links": load(1, cpu=100)}
        results.add_loads(LIST, loads)
        for section in ("200 records", "redirect"):
            results.add_loads(section, {"claimcheck": Load(1, 1.0, p99, 1.0, 1.0)})
        words = ("by batch", "processor time of a list", "p99 of 200 records", "p99 of redirects")
        return {
            word: claim.verdict
            for claim in claims.judge(results)
            for word in words
            if word in claim.text
        }

    assert set(met(100, 8, 125, 3).values()) == {"met"}
    assert set(met(100, 7.9, 126, 4.1).values()) == {"NOT MET"}
    between = met(100, 8, 125, 4)
    assert (between["p99 of 200 records"], between["p99 of redirects"]) == ("met", "NOT MET")


def test_the_capacity_page_counts_lists_at_their_worst() -> None:
    results = Results(about={})
    for section, name in (
        ("announce", "claimcheck"),
        ("confirm (Ceph RGW)", "claimcheck"),
        ("redirect", "claimcheck"),
        (LIST, ANEW),
    ):
        results.add_loads(section, {name: load(1, cpu=1000, database_cpu=100)})
    results.add("database", "bytes a file, indexes included", 1024.0, "bytes")
    # A cheaper list changes nothing.
    results.add_loads(LIST, {"claimcheck": load(1, cpu=1)})
    page = report.capacity(results)
    # 13 requests of a millisecond; a core busy to 60 % at five times the mean, for 30 days.
    assert "costs 13.00 ms of a service's core and 1.30 ms of PostgreSQL's" in page
    assert "one service core carries 24 million uploads a month" in page
    assert "| 100 million | 39 | 193 | 4.2 | 0.4 | 95 GiB |" in page
    del results.figures[LIST, ANEW]
    assert "Not every figure" in report.capacity(results)


def test_a_whole_run_is_written_to_the_results_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    results = Results(about={"cores": 2}, skipped={"Companion": "npm is not installed"})
    results.add(SLICES, "the longest of them", 11, "times")
    report.write(results)
    written = report.RESULTS.read_text()
    assert written.startswith("# The last whole run\n")
    for line in (
        "cores: 2.",
        f"| {SLICES} | the longest of them | 11.0 | times |",
        "- Companion: npm is not installed.",
        "## Capacity",
    ):
        assert f"\n{line}\n" in written
    # No figure stands twice: beside the results, the explanation has no tables.
    readme = Path(bench.__path__[0], "README.md").read_text()
    assert not [line for line in readme.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(("arguments", "status"), [([], 1), (["announce"], 1), (["--quick"], 0)])
def test_a_claim_that_is_not_met_is_a_failure(
    arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(about={})
    results.add(SLICES, "the longest of them", 11, "times")
    written: list[Results] = []
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    monkeypatch.setattr(command, "_measure", lambda *_, **__: results)
    monkeypatch.setattr(report, "write", written.append)
    if status:
        with pytest.raises(SystemExit, match="longest slice"):
            command.main()
    else:
        command.main()
    # Only a whole run is written down: its figures belong together.
    assert written == ([results] if not arguments else [])


def test_a_section_that_fails_is_said_so_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(_: object) -> None:
        raise BenchError(f"2 requests were lost\n{report.__file__}:1")

    def measure(stack: SimpleNamespace) -> None:
        stack.results.add("b", "claimcheck", 1.0, "s")

    @contextmanager
    def opened(_: object, __: object, results: Results, *___: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(results=results)

    sections = {"a": lose, "b": measure, "c": lambda _: 1 / 0}
    monkeypatch.setattr(command, "SECTIONS", sections)
    monkeypatch.setattr(command.signing, "measure", lambda *_, **__: None)
    monkeypatch.setattr(command, "open_stack", opened)
    monkeypatch.setattr(command, "require_wrk", lambda: None)
    monkeypatch.setattr(command.Cores, "take", lambda: None)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr("sys.argv", ["bench"])
    with pytest.raises(SystemExit, match=r"bench: failed: a; c$"):
        command.main()
    said, written = capsys.readouterr().out, report.RESULTS.read_text()
    assert "2 of 4 sections" in said
    assert "2 requests were lost" in said
    # Wherever the source is on that machine.
    assert "- a: 2 requests were lost\nbench/report.py:1\n- c: ZeroDivisionError" in written
    assert "| b | claimcheck | 1.00 | s |" in written
    assert re.search(r"^commit: [0-9a-f]{7,}, (clean|with changes)", written, re.MULTILINE)
    assert re.search(
        r"^Minutes: signing 0.0, a 0.0, b 0.0, c 0.0; in all 0.$", written, re.MULTILINE
    )


DISPOSITIONS = [
    ("Holiday 1.png", 'inline; filename="Holiday 1.png"', True),
    (
        "Αναφορά.pdf",
        f"attachment; filename=\"_.pdf\"; filename*=UTF-8''{quote('Αναφορά.pdf')}",
        True,
    ),
    ("Αναφορά.pdf", 'attachment; filename="_.pdf"', False),
    ("Holiday 1.png", "inline", False),
    ("Holiday 1.png", None, False),
]


@pytest.mark.parametrize(("filename", "disposition", "believed"), DISPOSITIONS)
def test_a_list_is_believed_if_each_link_gives_its_files_name(
    filename: str, disposition: str | None, believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {} if disposition is None else {"response-content-disposition": disposition}
    item = {"filename": filename, "presigned_url": f"http://s3/b/k?{urlencode(named)}"}
    answer = json.dumps({"items": [item] * reading.PAGE})
    monkeypatch.setattr(reading, "ask", lambda _: (200, answer))
    case = Case("list", Server("http://127.0.0.1:9", os.getpid(), 0.0, Path("log")), ["/"])
    if believed:
        reading.require_names(case)
    else:
        with pytest.raises(BenchError, match="without its file's name"):
            reading.require_names(case)


@pytest.mark.parametrize(
    ("moves", "wrong"),
    [
        ({}, 0),
        ({("pending", "removing"): (90, 89)}, 1),  # one not at all, another twice
        ({("pending", "removing"): (91, 90)}, 1),
        ({("pending", "removing"): (89, 89)}, 2),
        ({("removing", "removing"): (1, 1)}, 2),
    ],
)
def test_moves_that_were_made_twice_or_not_at_all_are_counted(
    moves: dict[tuple[str, str], tuple[int, int]], wrong: int
) -> None:
    wanted = leftovers.ended(100, arrived=10)
    found = {move: (count, count) for move, count in wanted.items()} | moves
    assert leftovers.count_wrong(found, wanted) == wrong


@pytest.mark.parametrize(
    ("grown", "believed"), [(49, False), (50, True), (114, True), (115, False)]
)
def test_announcements_are_believed_if_they_are_rows(grown: int, believed: bool) -> None:
    counts = iter([1000, 1000 + grown])
    stack = SimpleNamespace(query=lambda _: next(counts))
    case = uploads.announcing("claimcheck", None, stack)  # type: ignore[arg-type]
    assert case.before is not None
    assert case.check is not None
    case.before()
    if believed:
        case.check(50)
    else:
        with pytest.raises(BenchError, match="50 requests were answered"):
            case.check(50)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"status": 3}, "3 errors"),
        ({"lost": 2}, "2 requests were lost"),
        ({"requests": 0}, "no request was answered"),
        ({}, None),
    ],
)
def test_a_run_is_not_believed_unless_all_was_answered(
    said: dict[str, float], wrong: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server("http://127.0.0.1:9", os.getpid(), 0.0, Path("log"))
    case = Case("announce", server, ["/"])
    run = {"requests": 5.0, "micros": 1e6, "p50": 1.0, "p99": 2.0, "status": 0.0, "lost": 0.0}
    monkeypatch.setattr(bench_load, "_wrk", lambda *_: run | said)
    monkeypatch.setattr(bench_load, "_settle", lambda _: None)
    monkeypatch.setattr(bench_load, "ask", lambda _: (500, "why"))
    measure = partial(bench_load.compare, [case], rounds=1, seconds=1, database_pid=os.getpid())
    if wrong is None:
        assert measure()["announce"].memory > 10
    else:
        with pytest.raises(BenchError, match=wrong):
            measure()


@pytest.mark.parametrize(
    ("answer", "believed"),
    [((200, '{"items": []}'), True), ((200, '{"problem": 1}'), False), ((503, ""), False)],
)
def test_a_batch_is_believed_without_problems(
    answer: tuple[int, str], believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "ask", lambda _: answer)
    server = Server("http://127.0.0.1:9", os.getpid(), 0.0, Path("log"))
    check = uploads.without_problem(Case("presign", server, ["/"])).check
    assert check is not None
    if believed:
        check(1)
    else:
        with pytest.raises(BenchError):
            check(1)


def test_workers_are_measured_once_each_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    uses: list[int] = []
    monkeypatch.setattr(process, "_use", lambda _: uses.append(1))
    # The second takes its first connection when six were made.
    busy = SimpleNamespace(cpu_of_children=lambda: {1: len(uses), 2: len(uses) // 6})
    process._use_each(cast(Server, busy), "key", 2)
    assert len(uses) == 6
    idle = SimpleNamespace(cpu_of_children=lambda: {1: len(uses), 2: 0.019})
    with pytest.raises(BenchError, match="Not all of 2 workers"):
        process._use_each(cast(Server, idle), "key", 2)
