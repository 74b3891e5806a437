"""Peers that are not in the lock file: installed once, in versions of this file, for bench only.

They go to `claimcheck-bench` in the user's cache directory. Where npm or the network is missing
the peer is left out, by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.servers import BenchError

_COMPANION: Final = ("@uppy/companion@6.2.2",)
_DJANGO: Final = ("django==5.2.19", "djangorestframework==3.18.3", "gunicorn==27.0.1", "boto3")
_HERE: Final = Path(__file__).parent


class PeerMissing(BenchError):
    """This peer cannot run here; the message says why."""


def cache() -> Path:
    """Where peers are installed."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "claimcheck-bench"


def companion() -> tuple[list[str | Path], Path]:
    """Install Uppy Companion; the command that serves it as it is shipped, and its directory.

    Raises PeerMissing.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise PeerMissing("npm is not installed")
    home = cache() / "companion"
    if not _done(home, _COMPANION):
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')
        _run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *_COMPANION], home)
        _mark(home, _COMPANION)
    return [node, "node_modules/@uppy/companion/bin/companion"], home


def django() -> tuple[list[str | Path], Path]:
    """Install Django REST framework in an environment of its own; command and directory.

    Raises PeerMissing.
    """
    home = cache() / "django"
    if not _done(home, _DJANGO):
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", home], home.parent)
        pip: list[str | Path] = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *_DJANGO], home)
        _mark(home, _DJANGO)
    command: list[str | Path] = [
        *(home / "bin" / "gunicorn", "--workers", "1", "--bind", "127.0.0.1:{port}"),
        *("--pythonpath", _HERE, "--no-control-socket", "django_site:application"),
    ]
    return command, home


def _done(home: Path, packages: Sequence[str]) -> bool:
    mark = home / "installed"
    return mark.exists() and mark.read_text() == " ".join(packages)


def _mark(home: Path, packages: Sequence[str]) -> None:
    (home / "installed").write_text(" ".join(packages))


def _run(command: Sequence[str | Path], directory: Path) -> None:
    try:
        subprocess.run(  # noqa: S603
            command, check=True, cwd=directory, timeout=300, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise PeerMissing(f"it could not be installed: {' '.join(last)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"it could not be installed: {error}") from error
