"""`claimcheck serve` in processes of its own: as many as it was asked for, and all of them gone."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.commands import serve, server
from app.settings.model import load_settings
from tests.commands.steps import DEPLOYED, descendants, parents
from tests.support.deployed import KILLED_AFTER, Root, procfile, web
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import assert_limited, key_for, prepared
from tests.support.steps import announced, send
from tests.support.stores import free_port

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="several processes come on Linux alone; /proc says which"
)
TOKEN = "scrape-" + "0" * 32


@pytest.fixture
async def deployed(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a deployment, its bucket made."""
    environ |= {
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_METRICS_TOKEN": TOKEN,
        "TMPDIR": str(tmp_path),
    }
    await prepared(environ)
    return environ


async def becomes(condition: Callable[[], bool], seconds: float = 120) -> bool:
    for _ in range(round(seconds / 0.05)):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return condition()


async def refuses_connections(url: str) -> None:
    """Wait until nobody listens there any more."""
    async with asyncio.timeout(120):
        while True:
            try:
                async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                    await client.get(f"{url}/livez")
            except httpx.ConnectError:
                return
            await asyncio.sleep(0.05)


def gone(pids: set[int]) -> bool:
    return not pids & parents().keys()


def written(log: Path) -> list[dict[str, object]]:
    """All lines, each of which must be a JSON object."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def metrics_of(folder: Path) -> list[str]:
    """The names of the files in which workers below this TMPDIR keep their figures, and of the
    folders of them.
    """
    return [
        file.name for depth in ("", "/*") for file in folder.glob(f"claimcheck-metrics-*{depth}")
    ]


def state_of(pid: int) -> tuple[int, list[str]]:
    """How many threads it has, and what it has open that is not a file (proc(5))."""
    process = Path("/proc", str(pid))
    [threads] = re.findall(r"^Threads:\s+(\d+)$", (process / "status").read_text(), re.MULTILINE)
    opened = [str(file.readlink()) for file in (process / "fd").iterdir()]
    found = (name.partition(":")[0] for name in opened if not name.startswith("/"))
    return int(threads), sorted(found)


def resident_mib(pid: int) -> float:
    pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def workers_of(process: asyncio.subprocess.Process, count: int) -> set[int]:
    """The process ids below it, once there are so many."""
    assert await becomes(lambda: len(descendants(process.pid)) == count)
    return descendants(process.pid)


@pytest.mark.parametrize(
    ("asked", "workers", "host"), [("", 0, ""), ("1", 0, ""), ("2", 2, ""), ("3", 3, "::1")]
)
async def test_as_many_processes_as_were_asked_for(
    deployed: dict[str, str], tmp_path: Path, asked: str, workers: int, host: str
) -> None:
    log = tmp_path / "log"
    environ = deployed | {"WEB_CONCURRENCY": asked, "CLAIMCHECK_HOST": host}
    async with web(Root(), environ, log, host or "127.0.0.1") as (url, process):
        pids = await workers_of(process, workers) | {process.pid}
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            answer = await client.get("/livez?X=1", headers={"X-Forwarded-For": "192.0.2.7"})
        assert answer.status_code == 200
        assert "server" not in answer.headers
        await assert_limited(url)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), KILLED_AFTER) == 0
        assert await becomes(lambda: gone(pids))
    lines = written(log)
    started = [line for line in lines if line["event"] == "Application startup complete."]
    assert len(started) == max(workers, 1)
    requests = [line for line in lines if line["event"] == "request"]
    assert requests
    assert {line["client"] for line in requests} == {host or "127.0.0.1"}
    assert {line["logger"] for line in lines} <= {
        *("claimcheck.access", "claimcheck.connections", "uvicorn.error")
    }
    assert not metrics_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_CONCURRENCY", "two"),
        ("WEB_CONCURRENCY", "0"),
        ("PORT", "65536"),
        ("CLAIMCHECK_AUHT", "keys"),
        ("CLAIMCHECK_AUTH", "none"),
    ],
)
async def test_a_wrong_setting_ends_it_with_one_message(
    tmp_path: Path, name: str, value: str
) -> None:
    log = tmp_path / "log"
    environ = DEPLOYED | {"WEB_CONCURRENCY": "2", name: value}
    process = await Root().start(procfile()["web"], environ, log)
    assert await asyncio.wait_for(process.wait(), 180) == 1
    said = log.read_text()
    assert said.startswith(f"claimcheck cannot start: {name}")
    assert said.count("\n") == 1


async def test_a_port_that_is_taken_ends_it(deployed: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with web(Root(), deployed, log) as (url, _):
        port = url.rpartition(":")[2]
        for asked in ("1", "2"):
            environ = deployed | {"PORT": port, "WEB_CONCURRENCY": asked}
            process = await Root().start(procfile()["web"], environ, tmp_path / asked)
            assert await asyncio.wait_for(process.wait(), 180) != 0
            said = (tmp_path / asked).read_text()
            assert "in use" in said
            assert "Traceback" not in said


async def test_workers_that_cannot_start_are_not_started_again(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    environ = deployed | {"WEB_CONCURRENCY": "2", "AWS_PROFILE": "nosuch", "PORT": str(free_port())}
    process = await Root().start(procfile()["web"], environ, log)
    assert await asyncio.wait_for(process.wait(), 180) == 3
    assert "AWS_PROFILE" in log.read_text()
    assert not metrics_of(tmp_path)
    assert log.read_text().count("Started server process") <= 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_under_way_is_answered(
    deployed: dict[str, str], tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    """The signal reaches the first process alone, as a container's does."""
    key = await key_for(load_settings(deployed), "uploads:write")
    store = deployed["AWS_S3_ENDPOINT_URL"]
    async with faulty_proxy(store) as proxy, httpx.AsyncClient(timeout=60) as browser:
        environ = deployed | {
            "AWS_S3_ENDPOINT_URL": proxy.address,
            "AWS_S3_PUBLIC_ENDPOINT_URL": store,
            "WEB_CONCURRENCY": str(workers),
        }
        async with (
            web(Root(), environ, tmp_path / "log") as (url, process),
            httpx.AsyncClient(base_url=url, headers=key, timeout=60, trust_env=False) as client,
        ):
            pids = await workers_of(process, 0 if workers == 1 else workers) | {process.pid}
            upload = await announced(client, b"hello")
            assert (await send(browser, upload["upload"], b"hello")).is_success
            rule = proxy.disturb("GET", "before", times=2)  # it may ask again meanwhile
            confirm = asyncio.create_task(client.post(f"/v1/uploads/{upload['id']}/confirm"))
            await asyncio.wait_for(rule.asked.wait(), 120)
            process.send_signal(number)
            # Longer than a supervisor that does not wait would take.
            await asyncio.sleep(3)
            await refuses_connections(url)
            proxy.release()
            assert (await confirm).status_code == 200
            assert await asyncio.wait_for(process.wait(), KILLED_AFTER) == 0
            assert await becomes(lambda: gone(pids))
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_worker_that_was_killed_is_replaced(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    """Its counts stay, and a gauge of its own goes with it."""
    key = await key_for(load_settings(deployed), "uploads:write")
    environ = deployed | {"WEB_CONCURRENCY": "2"}
    async with web(Root(), environ, tmp_path / "log") as (url, process):
        before = await workers_of(process, 2)
        async with httpx.AsyncClient(
            base_url=url, headers=key, trust_env=False, timeout=60
        ) as client:
            await announced(client, b"hello")
        killed = before.pop()
        os.kill(killed, signal.SIGKILL)
        assert await becomes(lambda: gone({killed}))
        after = await workers_of(process, 2)
        assert before < after
        log = tmp_path / "log"
        assert await becomes(lambda: log.read_text().count("Application startup complete.") == 3)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        name = 'claimcheck_uploads_total{destination="files",outcome="announced"}'
        for _ in range(10):
            # A connection each, so that both workers are asked.
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                report = (await client.get("/metrics", headers=bearer)).text
            assert f"{name} 1.0" in report.splitlines()
        # The new one serves by itself, too.
        [survivor] = before
        os.kill(survivor, signal.SIGSTOP)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            assert (await client.get("/livez")).status_code == 200
        os.kill(survivor, signal.SIGCONT)
        gauges = [name for name in metrics_of(tmp_path) if name.startswith("gauge_live")]
        assert gauges
        assert not [name for name in gauges if name.endswith(f"_{killed}.db")]
        process.terminate()
        assert await asyncio.wait_for(process.wait(), KILLED_AFTER) == 0
        assert await becomes(lambda: gone(before | after))
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_workers_end_after_a_supervisor_that_was_killed(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    environ = deployed | {"WEB_CONCURRENCY": "2"}
    async with web(Root(), environ, tmp_path / "log") as (_, process):
        pids = await workers_of(process, 2)
        process.kill()
        await process.wait()
        assert await becomes(lambda: gone(pids))


async def test_a_worker_whose_watch_ended_while_it_loaded_ends(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    reads, writes = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listens:
        given = {"listens": listens.fileno(), "writes": writes, "watch": os.getpid() + 1}
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli", "serve"),
                env=os.environ | deployed | {serve.WATCHED: json.dumps(given)},
                pass_fds=(listens.fileno(), writes),
                stderr=log,
            )
        assert await asyncio.wait_for(process.wait(), 180) == 0
    os.close(writes)
    os.close(reads)
    events = [line["event"] for line in written(tmp_path / "log")]
    assert events[-1] == f"Finished server process [{process.pid}]"


async def test_a_worker_says_that_it_lives_though_the_clock_was_set_back(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    reads, writes = os.pipe()
    program = (
        "import os, sys, time\n"
        "from app.commands import supervisor\n"
        "from app.settings.model import load_settings\n"
        "now = time.time\n"
        "time.time = lambda: now() - 1000 * os.path.exists(sys.argv[1])\n"
        "supervisor.serve_for_watch(load_settings(), sys.argv[2])\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listens:
        given = {"listens": listens.fileno(), "writes": writes, "watch": os.getpid()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(tmp_path / "set-back"), json.dumps(given)),
            env=os.environ | deployed,
            pass_fds=(listens.fileno(), writes),
        )
        os.close(writes)
        word = process.pid.to_bytes(4, "little")
        # The pipe ends with the process.
        end = asyncio.get_running_loop().call_later(180, process.kill)
        assert await asyncio.to_thread(os.read, reads, 4) == word
        (tmp_path / "set-back").touch()
        for _ in range(3):  # one may have been on its way
            assert await asyncio.to_thread(os.read, reads, 4) == word
        end.cancel()
        process.terminate()
        await process.wait()
    os.close(reads)


async def test_nothing_is_left_of_a_start_that_failed(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from app.commands import supervisor\n"
        "from app.settings.model import load_settings\n"
        "supervisor._load = lambda _: sys.exit(7)\n"
        "supervisor.serve_with_workers(load_settings())\n"
    )
    environ = deployed | {"WEB_CONCURRENCY": "2", "PROGRAM": program}
    assert await Root().run('python -c "$PROGRAM"', environ, tmp_path / "log") == 7
    assert not metrics_of(tmp_path)


async def test_a_signal_that_comes_while_it_loads_ends_it(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    environ = deployed | {"WEB_CONCURRENCY": "2", "PORT": str(free_port())}
    process = await Root().start(procfile()["web"], environ, tmp_path / "log")
    status = Path(f"/proc/{process.pid}/status")

    def is_loading() -> bool:
        [blocked] = re.findall(r"^SigBlk:\s+(\w+)$", status.read_text(), re.MULTILINE)
        return bool(int(blocked, 16) >> (signal.SIGTERM - 1) & 1)

    assert await becomes(is_loading)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 180) == 0
    assert not metrics_of(tmp_path)
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_the_watch_holds_little(deployed: dict[str, str], tmp_path: Path) -> None:
    """Neither the application nor what it opened: the port, and the pipe that its workers write."""
    environ = deployed | {"WEB_CONCURRENCY": "2"}
    async with web(Root(), environ, tmp_path / "log") as (_, process):
        await workers_of(process, 2)
        assert await becomes(lambda: resident_mib(process.pid) < 20)
        assert state_of(process.pid) == (1, ["pipe", "pipe", "socket"])


def test_elsewhere_there_is_one_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(serve, "serve_alone", served.append)
    monkeypatch.setattr(serve, "configure_logging", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name, value in (DEPLOYED | {"WEB_CONCURRENCY": "2"}).items():
        monkeypatch.setenv(name, value)
    serve._serve(None)  # type: ignore[arg-type]
    assert [settings.web_concurrency for settings in served] == [2]
    assert "one_process" in caplog.text


@pytest.mark.parametrize(
    ("auth", "given", "host"),
    [
        ("none", "0.0.0.0", "127.0.0.1"),
        ("none", "", "127.0.0.1"),
        ("keys", "", "0.0.0.0"),
        ("keys", "::1", "::1"),
    ],
)
def test_without_authentication_it_listens_on_loopback_alone(
    auth: str, given: str, host: str
) -> None:
    settings = load_settings(DEPLOYED | {"CLAIMCHECK_AUTH": auth, "CLAIMCHECK_HOST": given})
    assert server.host_of(settings) == host
