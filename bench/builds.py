"""Builds: a commit or the working tree, run as processes of its own.

Nothing of a build is imported here. Whatever its folders look like inside, it is driven as a
deployment drives it: by settings in the environment, `python -m app.cli`, uvicorn and HTTP. All
builds run in this Python environment, each with its own tree first on the path.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from bench.servers import SERVE, BenchError, Server, inherited_environ, serve, uvicorn

WORKING_TREE: Final = Path(__file__).parents[1]
_LOCK: Final = "requirements.txt"
_SCOPES: Final = ("uploads:write", "files:read")


@dataclass(frozen=True)
class Build:
    """A tree, and the environment (settings, path) that its processes get."""

    tree: Path
    environ: Mapping[str, str]

    def python(self, *arguments: str) -> str:
        """Run Python in the tree; its standard output.

        Raises BenchError if it fails.
        """
        done = subprocess.run(  # noqa: S603
            [sys.executable, *arguments],
            cwd=self.tree,
            env=inherited_environ(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            said = f"{done.stdout}{done.stderr}"[-3000:]
            raise BenchError(f"python {' '.join(arguments)} failed in {self.tree}:\n{said}")
        return done.stdout

    def with_settings(self, settings: Mapping[str, str]) -> Build:
        return Build(self.tree, {**self.environ, **settings})

    @contextmanager
    def deployed(self, *, cores: set[int], log: Path) -> Iterator[Server]:
        """The service of this build as a deployment starts it, in one process."""
        environ = {**self.environ, "WEB_CONCURRENCY": "1"}
        with serve(SERVE, cores=cores, environ=environ, log=log, directory=self.tree) as server:
            yield server

    @contextmanager
    def serve(self, *, cores: set[int], log: Path) -> Iterator[Server]:
        """The service of this build under uvicorn."""
        with serve(
            uvicorn("app.main:create_app"),
            cores=cores,
            environ=self.environ,
            log=log,
            directory=self.tree,
        ) as server:
            yield server


def build_at(tree: Path, settings: Mapping[str, str]) -> Build:
    """The build of this tree, whose own modules are found before any others.

    Raises BenchError if it would import the `app` of another tree.
    """
    build = Build(tree, {**settings, "PYTHONPATH": str(tree)})
    found = build.python("-c", "import app.main; print(app.main.__file__)").strip()
    if not Path(found).is_relative_to(tree):
        raise BenchError(f"The build in {tree} imports {found}, which is another's.")
    return build


def create_key(build: Build) -> str:
    """A new API key that may upload and read."""
    scopes = [word for scope in _SCOPES for word in ("--scope", scope)]
    return build.python("-m", "app.cli", "keys", "create", "bench", *scopes).strip()


def create_database(dsn: str, name: str, template: str = "template1") -> str:
    """Create a database on the server of `dsn`, a copy of `template`; return its own DSN."""

    async def create() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()

    asyncio.run(create())
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


def has_same_lock(tree: Path) -> bool:
    """Whether the tree's lock file asks for the packages that the working tree's asks for."""
    return (tree / _LOCK).read_bytes() == (WORKING_TREE / _LOCK).read_bytes()


def find_commit(rev: str, repository: Path = WORKING_TREE) -> str:
    """The full hash of the commit that `rev` names.

    Raises BenchError if there is none.
    """
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    try:
        return _git(repository, *wanted).strip()
    except BenchError as error:
        raise BenchError(f"There is no commit {rev} in {repository}.") from error


def describe_tree(repository: Path = WORKING_TREE) -> str:
    """The commit of the tree, and whether anything in it is not committed."""
    commit = _git(repository, "rev-parse", "--short", "HEAD").strip()
    changes = _git(repository, "status", "--porcelain").strip()
    return f"{commit}, with changes that are not committed" if changes else f"{commit}, clean"


@contextmanager
def work_tree(commit: str, repository: Path = WORKING_TREE) -> Iterator[Path]:
    """A work tree of the commit in a temporary folder; both are removed at the end.

    Raises BenchError if git cannot make it.
    """
    with tempfile.TemporaryDirectory(prefix="claimcheck-bench-", ignore_cleanup_errors=True) as top:
        tree = Path(top).resolve() / "tree"
        try:
            _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), commit)
            yield tree
        finally:
            # Nothing is left to remove where `add` failed. Twice: a tree half made is locked.
            with suppress(BenchError):
                _git(repository, "worktree", "remove", "--force", "--force", str(tree))


def _git(repository: Path, *arguments: str) -> str:
    # A variable such as GIT_DIR would lead to another repository, a hook do as it likes.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with subprocess.Popen(  # noqa: S603
        ["git", "-c", "core.hooksPath=/dev/null", *arguments],  # noqa: S607
        cwd=repository,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C must not stop git halfway
    ) as process:
        try:
            output, _ = process.communicate()
        finally:
            process.wait()
    if process.returncode:
        raise BenchError(f"git {' '.join(arguments)} failed: {output.strip()}")
    return output
