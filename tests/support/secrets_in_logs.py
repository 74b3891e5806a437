"""Fails the run if anything that was logged in it holds a secret.

What is searched: every record of the standard library's loggers in the tests' own processes (where
the service runs in process), what other processes said on standard error, and every log file in
the tests' folders. The run then ends with what was found, and with a status that says so.
"""

import asyncio
import logging
import os
import re
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

# What a secret looks like. Three dots stand where one was cut out.
_PATTERNS: Final = {
    "a signature": r"signature[\\\"']*\s*(?:=|%3D|:)\s*[\\\"']*[0-9a-f]{64}",
    "a security token": r"security-token"
    r"[\\\"']*\s*(?:=|%3D|:)\s*[\\\"']*(?!\.\.\.)[^\s\\\"'&]{16,}",
    # Base64 of {" is how both begin.
    "a policy or a web token": r"\beyJ[A-Za-z0-9+/_=-]{40,}",
    "a bearer": r"\bBearer (?!\.\.\.)[A-Za-z0-9._~+/-]{16,}",
    "a token of ours": r"claimcheck_(?:key|upload|request|staff)_(?!\.\.\.)[A-Za-z0-9_-]{16,}",
    "a webhook's secret": r"whsec_(?!\.\.\.)[A-Za-z0-9+/]{16,}",
    "a grant": r"\b\d{10}\.[0-9a-f]{32}(?![0-9a-f])",
}
_SECRET: Final = re.compile("|".join(f"({p})" for p in _PATTERNS.values()), re.IGNORECASE)
# The tests' own clients, which have to do with secrets by profession.
_CLIENTS: Final = ("httpx", "httpcore")
_SHOWN: Final = 24

# Secrets that look like nothing in particular: the keys of stores.
_known: dict[str, None] = {}


def keep_secret(value: str) -> None:
    """Look for this from now on."""
    _known.update(dict.fromkeys((value, quote(value, safe=""))))


def secrets_in(text: str) -> Iterator[str]:
    """The secrets that a text holds, in words, no more of each than one needs to find it."""
    for found in _SECRET.finditer(text):
        [what] = [name for name, got in zip(_PATTERNS, found.groups(), strict=True) if got]
        yield f"{what}: {found[0][:_SHOWN]}..."
    for secret in _known:
        if secret in text:
            yield f"a store's key: {secret[:4]}..."


class Watch(logging.Handler):
    """The plugin; `tests/conftest.py` registers it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.found: dict[str, None] = {}
        self._undo: list[Callable[[], None]] = []

    def look(self, text: str, where: str) -> None:
        for secret in secrets_in(text):
            self.found[f"{where}: {secret}"] = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _CLIENTS:
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "".join(traceback.format_exception(record.exc_info[1]))
        test = os.environ.get("PYTEST_CURRENT_TEST", "between tests").partition(" ")[0]
        self.look(text, f"{test}, logger {record.name}")

    def _heard(self, said: Any) -> None:
        if said:
            text = said if isinstance(said, str) else said.decode(errors="replace")
            test = os.environ.get("PYTEST_CURRENT_TEST", "between tests").partition(" ")[0]
            self.look(text, f"{test}, standard error")

    def pytest_configure(self) -> None:
        logging.getLogger().addHandler(self)
        # What is read from pipes is in no file.
        in_threads, in_loops = subprocess.Popen.communicate, asyncio.subprocess.Process.communicate

        def communicate(process: Any, *args: Any, **kwargs: Any) -> Any:
            said = in_threads(process, *args, **kwargs)
            self._heard(said[1])
            return said

        async def communicate_in_loop(process: Any, *args: Any, **kwargs: Any) -> Any:
            said = await in_loops(process, *args, **kwargs)
            self._heard(said[1])
            return said

        subprocess.Popen.communicate = communicate  # type: ignore[method-assign]
        asyncio.subprocess.Process.communicate = communicate_in_loop  # type: ignore[method-assign]

    def _search_files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.relative_to(folder).parts[0].startswith("popen-"):
                continue  # another process's, which has searched it (xdist)
            if (path.name == "log" or path.suffix == ".log") and path.is_file():
                text = path.read_bytes()
                if b"\0" not in text:  # browsers have databases of that name
                    self.look(text.decode(errors="replace"), str(path.relative_to(folder)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        logging.getLogger().removeHandler(self)
        factory = getattr(session.config, "_tmp_path_factory", None)
        if factory is not None:
            self._search_files(factory.getbasetemp())
        told = getattr(session.config, "workeroutput", None)
        if told is not None:  # one of several processes, which the first one hears (xdist)
            told["secrets_in_logs"] = list(self.found)
        elif self.found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for found in getattr(node, "workeroutput", {}).get("secrets_in_logs", ()):
            self.found[found] = None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.found:
            terminalreporter.section("secrets in logs", red=True)
            for found in self.found:
                terminalreporter.line(found)
