"""Log lines: JSON in a deployment, for people on a terminal, others' with our own."""

import ast
import asyncio
import io
import json
import logging
import os
import pty
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from app.core.principal import Principal
from app.logs.log import Actor, Logger, current_actor, get_logger, write_to
from tests.support.service import log_lines, logged, served

_SPEAK = """
import logging
from app.logs.log import get_logger
from app.runtime.process import configure_logging

configure_logging()
get_logger("access").info("request", path="/a", owner="ann")
logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
logging.getLogger("uvicorn.access").info("GET /?X-Amz-Signature=hunter2")
logging.getLogger("starlette_admin.auth.base").warning("GET /files?q=whom-I-love -> login")
logging.getLogger("botocore").info("nobody reads this")
logging.getLogger("botocore").warning("PUT https://b/k?X-Amz-Signature=hunter2&x=1")
try:
    {}["missing"]
except KeyError:
    get_logger("errors").exception("unexpected_failure")
    logging.getLogger("asyncio").exception("Task failed")
"""


def spoken(stderr: int = subprocess.PIPE, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _SPEAK],
        env={**os.environ, **environ},
        stderr=stderr,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stderr


def test_whoever_writes_a_line_it_is_a_json_object() -> None:
    lines = [json.loads(line) for line in spoken().splitlines()]
    assert [(line["logger"], line["level"], line["event"]) for line in lines] == [
        ("claimcheck.access", "info", "request"),
        ("uvicorn.error", "info", "Started server process [7]"),
        ("botocore", "warning", "PUT https://b/k?X-Amz-Signature=...&x=1"),
        ("claimcheck.errors", "error", "unexpected_failure"),
        ("asyncio", "error", "Task failed"),
    ]
    assert {**lines[0]}.keys() == {"time", "level", "logger", "event", "path", "owner"}
    for failed in lines[3:]:
        assert failed["exception"].startswith("Traceback")
        assert "KeyError: 'missing'" in failed["exception"]


def test_on_a_terminal_lines_are_for_people() -> None:
    ours, theirs = pty.openpty()
    try:
        spoken(theirs, NO_COLOR="1")
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    first, second, third, *_ = shown.splitlines()
    assert first.endswith("request [claimcheck.access] owner=ann path=/a")
    assert second.endswith("Started server process [7] [uvicorn.error]")
    assert "X-Amz-Signature=...&x=1" in third
    assert "KeyError: 'missing'" in shown
    assert "hunter2" not in shown


async def test_a_service_writes_nothing_else(environ: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with served(environ, log) as service:
        await service.client.get("/v1/destinations", headers={"X-Request-ID": "mine"})
        await service.stop()
    lines = logged(log)
    assert "Application startup complete." in {line["event"] for line in lines}
    [request] = [line for line in lines if line.get("route") == "/v1/destinations"]
    assert (request["request_id"], request["status"], request["owner"]) == ("mine", 200, "dev")


class _Counting(io.StringIO):
    """Counts what is written at once."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_lines_of_one_turn_are_written_at_once_and_none_is_lost() -> None:
    output = _Counting()

    async def speak() -> None:
        for number in range(3):
            get_logger("test").info("turn", number=number)
        assert not output.writes
        await asyncio.sleep(0)
        assert output.writes == 1
        await asyncio.to_thread(get_logger("test").info, "thread")
        assert output.writes == 2
        get_logger("test").info("last")

    before = Logger.output
    write_to(output)
    try:
        asyncio.run(speak())
        asyncio.run(speak_again())
        get_logger("test").info("without a loop")
    finally:
        write_to(before)
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    said = [line.get("number", line["event"]) for line in lines]
    assert said == [0, 1, 2, "thread", "last", "again", "without a loop"]


def test_no_field_takes_the_place_of_what_each_line_begins_with() -> None:
    # A member of the caller's goes over one of the line's own: a `level` was `owner`.
    head = {"time", "level", "logger", "event"}
    taken = [
        f"{path}:{call.lineno}: {keyword.arg}"
        for path in Path("app").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"info", "warning", "error", "exception"}
        for keyword in call.keywords
        if keyword.arg in head
    ]
    assert taken == []


def test_a_field_that_cannot_be_written_takes_no_other_line_with_it() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    output = io.StringIO()

    async def speak() -> None:
        log = get_logger("test")
        for name, value in {
            "first": 1,
            "half": "\ud800",
            "mute": [Mute(), "\ud800"],
            "last": 2,
        }.items():
            log.info(name, value=value)

    before = Logger.output
    write_to(output)
    try:
        asyncio.run(speak())
    finally:
        write_to(before)
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["first", "half", "mute", "last"]
    assert [line.get("value") for line in lines] == [1, "\ud800", None, 2]


async def speak_again() -> None:
    get_logger("test").info("again")


_ENDS_AT_ONCE = """
import asyncio, sys
from app.logs.log import get_logger
from app.runtime.process import configure_logging

async def speak():
    get_logger("test").info("last words")
    raise SystemExit(3)

configure_logging()
loop = asyncio.new_event_loop()
loop.run_until_complete(speak())
"""


def test_lines_are_written_by_a_process_that_ends_before_the_turn_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDS_AT_ONCE],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 3
    assert '"event":"last words"' in done.stderr


def test_what_json_does_not_know_is_written_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        pass

    values: dict[str, Any] = {"id": uuid.UUID(int=1), "odd": Odd(), "half": "a\ud800b"}
    with caplog.at_level(logging.INFO):
        for name, value in values.items():
            get_logger("test").warning("odd", **{name: value})
    first, second, third = log_lines(caplog, "test")
    assert first["id"] == "00000000-0000-0000-0000-000000000001"
    assert "Odd" in second["odd"]
    assert third["half"] == "a\ud800b"


async def test_tasks_that_outlive_a_request_still_say_whose_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        get_logger("test").warning("late")

    before = current_actor.set(Actor(request_id="mine", caller=Principal("ann")))
    task = asyncio.create_task(later())
    current_actor.reset(before)
    await task
    get_logger("test").warning("nobody's")
    late, nobodys = log_lines(caplog, "test")
    assert late["request_id"] == "mine"
    assert "request_id" not in nobodys
