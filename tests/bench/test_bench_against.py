"""`python -m bench --against REV`: builds are themselves, no work tree stays, verdicts are fair."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bench import __main__ as command
from bench import against, outside
from bench.against import AGAIN, NEW, OLD, WHO, Comparison, Plan, Row, Sample
from bench.bucket import PICTURE
from bench.builds import WORKING_TREE, build_at, find_commit, work_tree
from bench.outside import Site
from bench.sender import open_sender
from bench.servers import BenchError, Cores, Server, serve, tree_cpu_seconds, uvicorn

# An application that says where its module lies.
APP = """
import json

def create_app():
    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = json.dumps({"file": __file__}).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
    return app
"""


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, the older with `app/main.py`, the newer with another file as well."""
    home = tmp_path / "repository"
    (home / "app").mkdir(parents=True)
    git(home.parent, "init", "--quiet", str(home))
    (home / "app" / "__init__.py").touch()
    (home / "app" / "main.py").write_text(APP)
    for message in ("old", "new"):
        git(home, "add", ".")
        git(home, "commit", "--quiet", "-m", message)
        (home / "newer").touch()
    return home


def test_each_build_runs_its_own_application(repository: Path, tmp_path: Path) -> None:
    with work_tree(find_commit("HEAD~1", repository), repository) as old:
        assert not (old / "newer").exists()
        for tree in (old, repository):
            with build_at(tree, {}).serve(
                cores={*os.sched_getaffinity(0)}, log=tmp_path / "log"
            ) as it:
                said = httpx.get(it.url, trust_env=False, timeout=60).json()
            assert Path(said["file"]) == tree / "app" / "main.py"
    # This one's own, which is installed in the environment, is not found first either.
    assert Path(build_at(WORKING_TREE, {}).environ["PYTHONPATH"]) == WORKING_TREE


def test_a_build_without_an_application_is_not_taken_for_the_installed_one(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="which is another's"):
        build_at(tmp_path, {})


def trees(repository: Path) -> int:
    return len(git(repository, "worktree", "list").splitlines())


@pytest.mark.parametrize("error", [None, BenchError, KeyboardInterrupt, SystemExit])
def test_the_work_tree_is_removed(repository: Path, error: type[BaseException] | None) -> None:
    def use() -> Path:
        with work_tree(find_commit("HEAD", repository), repository) as tree:
            used.append(tree)
            assert (tree / "newer").exists()
            assert trees(repository) == 2
            (tree / "app" / "made.txt").touch()
            if error:
                raise error

    used: list[Path] = []
    if error:
        with pytest.raises(error):
            use()
    else:
        use()
    assert not used[0].parent.exists()
    assert trees(repository) == 1
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_command_removes_its_work_tree_when_it_is_stopped(
    number: signal.Signals, tmp_path: Path
) -> None:
    # The command, but that it measures nothing.
    program = (
        "import runpy, sys, time\n"
        "from bench import against, builds\n"
        "def measure(rev, *_):\n"
        "    with builds.work_tree(builds.find_commit(rev)) as tree:\n"
        "        print(tree, flush=True)\n"
        "        time.sleep(60)\n"
        "against.measure = measure\n"
        "sys.argv = ['bench', '--against', 'HEAD']\n"
        "runpy.run_module('bench', run_name='__main__')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=WORKING_TREE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has its background jobs, and so their children, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    tree = Path(process.stdout.readline().strip())
    assert (tree / "bench").is_dir()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "bench: stopped" in errors
    assert not tree.parent.exists()
    assert str(tree) not in git(WORKING_TREE, "worktree", "list")


def test_a_revision_that_is_none_is_said_so(repository: Path) -> None:
    for rev in ("nowhere", "--help", "HEAD:newer"):
        with pytest.raises(BenchError, match="There is no commit"):
            find_commit(rev, repository)


def row(old: list[float], again: list[float], new: list[float]) -> Row:
    figures = {OLD: old, AGAIN: again, NEW: new}
    samples = {who: [Sample(1, x) for x in found] for who, found in figures.items()}
    return Row("announce", samples)


VERDICTS: list[tuple[list[float], list[float], list[float], bool]] = [
    ([100, 100], [100, 100], [100, 100], False),
    ([100, 100], [100, 100], [120, 120], False),
    ([100, 100], [100, 100], [97.1, 97.1], False),
    ([100, 100], [100, 100], [96.9, 96.9], True),
    # The old build is 4 % from itself, whichever of the two is ahead.
    ([98, 98], [102, 102], [93.5, 93.5], False),
    ([102, 102], [98, 98], [93.5, 93.5], False),
    ([98, 98], [102, 102], [92, 92], True),
    # The machine became half as fast on the way, for all of them.
    ([100, 50, 100], [100, 50, 100], [100, 50, 100], False),
    ([100, 50, 100], [100, 50, 100], [95, 47.5, 95], True),
    # One round in which something else had the machine decides nothing.
    ([100, 100, 100], [100, 100, 100], [100, 100, 10], False),
]


@pytest.mark.parametrize(("old", "again", "new", "slower"), VERDICTS)
def test_slower_is_what_falls_behind_by_more_than_the_spread_and_three_per_cent(
    old: list[float], again: list[float], new: list[float], slower: bool
) -> None:
    assert row(old, again, new).is_slower is slower


SAME = row([100], [100], [100])
SLOW = row([100], [101], [90])


@pytest.mark.parametrize(("rows", "status"), [([SAME], 0), ([SAME, SLOW], 1)])
def test_the_status_says_whether_anything_is_slower(
    rows: list[Row],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[str, list[str], Plan]] = []

    def measure(rev: str, sections: list[str], plan: Plan, *_: object) -> Comparison:
        asked.append((rev, sections, plan))
        return Comparison("f186b337ebd2" + 28 * "0", rows, ["locks other packages"])

    monkeypatch.setattr("sys.argv", ["bench", "announce", "read", "--against", "f186b33"])
    monkeypatch.setattr(against, "measure", measure)
    monkeypatch.setattr(command.Cores, "take", lambda: None)
    if status:
        with pytest.raises(SystemExit, match="slower than f186b33: announce"):
            command.main()
    else:
        command.main()
    assert asked == [("f186b33", ["announce", "read"], against.FULL)]
    said = capsys.readouterr().out
    assert "f186b337ebd2" in said
    assert "locks other packages" in said
    assert ("SLOWER" in said) == bool(status)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--claims"],
        ["--claims", "--against", "main"],
        ["panel", "--against", "HEAD"],
        ["--against"],
        ["rows", "x"],
    ],
)
def test_sections_that_do_not_exist_are_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_row_that_looks_slower_is_measured_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([90.0, 90.0, 100.0, 100.0, 100.0, 100.0])
    blocks: list[set[str] | None] = []

    class Bench:
        store = "a stand-in"

        def measure_block(
            self,
            sections: list[str],
            rounds: int,
            rows: dict[str, Row],
            only: set[str] | None = None,
        ) -> None:
            assert sections == ["announce", "read"]
            blocks.append(only)
            for name in only or ("announce", "get"):
                found = rows.setdefault(name, Row(name)).samples
                found[OLD].append(Sample(1, 100))
                found[AGAIN].append(Sample(1, 100))
                found[NEW].append(Sample(1, next(figures) if name == "announce" else 100))

    @contextmanager
    def opened(*_: object) -> Iterator[Bench]:
        yield Bench()

    monkeypatch.setattr(against, "_open_bench", opened)
    monkeypatch.setattr(against, "has_same_lock", lambda _: False)
    found = against.measure(
        "HEAD",
        ["read", "announce"],
        Plan(2, 2),
        None,
        lambda _: None,  # type: ignore[arg-type]
    )
    assert blocks == [None, None, {"announce"}, {"announce"}]
    assert [len(one.samples[NEW]) for one in found.rows] == [4, 2]
    # All its runs count: two of four were as fast.
    assert found.rows[0].ratio == pytest.approx(0.95)
    assert found.slower == ["announce"]
    assert len(found.notes) == 2
    assert "The store behind each is a stand-in." in found.notes


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("bucket") / "log"
    cores, factory = {*os.sched_getaffinity(0)}, uvicorn("bench.bucket:create_app")
    with serve(factory, cores=cores, environ={}, log=log, probe="/b") as server:
        yield server


def test_the_bucket_answers_as_s3_does_and_refuses_what_it_does_not_know(bucket: Server) -> None:
    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 0},
        request_checksum_calculation="when_required",
    )
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=bucket.url, config=config, **keys)
    which = {"Bucket": "b", "Key": "images/a b.png"}
    kept = {"ContentType": "image/png", "Metadata": {"claimcheck-id": "7"}}
    s3.put_object(**which, **kept, Body=PICTURE, IfNoneMatch="*")
    s3.head_bucket(Bucket="b")
    found = s3.head_object(**which)
    assert found["ContentLength"] == len(PICTURE)
    assert found["ContentType"] == "image/png"
    assert found["Metadata"] == {"claimcheck-id": "7"}
    part = s3.get_object(**which, Range="bytes=0-7", IfMatch=found["ETag"])
    assert part["Body"].read() == PICTURE[:8]
    assert part["ContentRange"] == f"bytes 0-7/{len(PICTURE)}"
    assert s3.get_object(**which)["Body"].read() == PICTURE
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="b", Key="other")
    for call, more in (
        (s3.delete_object, {}),
        (s3.list_parts, {"UploadId": "1"}),
        (s3.get_object_tagging, {}),
    ):
        with pytest.raises(ClientError, match="NotImplemented"):
            call(**which, **more)
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.list_objects_v2(Bucket="b")


def test_what_is_sent_is_all_answered_or_an_error(bucket: Server) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        for n in range(100):
            client.put(f"{bucket.url}/b/{n}", content=PICTURE).raise_for_status()
    requests = [f"GET /b/{n} HTTP/1.1\r\nHost: b\r\n\r\n" for n in range(101)]
    with open_sender() as send:
        assert send(bucket.url, requests[:100]) > 0
        assert send(bucket.url, requests[:1]) > 0
        with pytest.raises(BenchError, match=r"GET /b/1 .*: 404"):
            send(bucket.url, requests[1:])
        with pytest.raises(BenchError, match="ConnectionRefusedError"):
            send("http://127.0.0.1:9", requests)
        with pytest.raises(BenchError, match="not all were answered"):
            send(bucket.url, ["GET /b/1 HTTP/1.0\r\n\r\n"] * 100)
        assert send(bucket.url, requests[:100]) > 0


def test_a_request_that_is_not_answered_well_ends_the_bench(bucket: Server) -> None:
    nobody = Server("http://127.0.0.1:9", os.getpid(), 0.0, Path("log"))
    with httpx.Client(trust_env=False, timeout=60) as client:
        for server, wrong in ((bucket, "was answered 404"), (nobody, "was not answered")):
            with pytest.raises(BenchError, match=f"GET /b/none {wrong}"):
                Site(server, "key", client).call("GET", "/b/none")


def test_processor_time_is_of_the_process_and_finer_than_a_tick() -> None:
    start, spent = time.process_time(), tree_cpu_seconds(os.getpid())
    while time.process_time() - start < 0.2:
        pass
    assert tree_cpu_seconds(os.getpid()) - spent > 0.19
    looks = [tree_cpu_seconds(os.getpid()) for _ in range(20)]
    steps = [after - before for before, after in itertools.pairwise(looks)]
    # Of a hundredth of a second, as the kernel counts in /proc/PID/stat, none would be smaller.
    assert 0 < min(steps) < 0.01


@pytest.mark.slow
def test_this_build_and_the_last_commit_are_measured_in_every_section(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for count in ("_ANNOUNCEMENTS", "_BATCHES", "_CONFIRMS", "_LISTS", "_PRESIGNS"):
        monkeypatch.setattr(outside, count, 50)
    monkeypatch.setattr(outside, "_GETS", 100)
    monkeypatch.setattr(against, "TOLERANCE", 9)  # nothing is measured once more
    free = sorted(os.sched_getaffinity(0))
    said: list[str] = []
    cores = Cores(free[0], free[-1])
    found = against.measure("HEAD", list(outside.SECTIONS), Plan(1, 2), cores, said.append)
    assert [row.name for row in found.rows] == [
        *("announce", "announce by batch of 50", "confirm", "get", "redirect", "presign of 100"),
        *("list of 100", "list of 100, signed anew"),
    ]
    for row in found.rows:
        assert {who: len(samples) for who, samples in row.samples.items()} == dict.fromkeys(WHO, 2)
        assert all(row.rate(who) > 0 and row.per_cpu(who) > 0 for who in row.samples)
    assert found.commit == find_commit("HEAD")
