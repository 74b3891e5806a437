"""Packages from npm that tests need: real Uppy, and what checks and shrinks scripts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from app.routers.pages import STATIC

_LOCK = Path(__file__).with_name("npm")
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def install(folder: Path, lock: Path = _LOCK) -> None:
    """A copy of the lock file's folder with its packages, which npm checks by their hashes."""
    unwanted = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(lock, folder, ignore=unwanted, dirs_exist_ok=True)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", at=folder)


def copy_module(folder: Path) -> None:
    """uploader.js with its declarations, as a front end copies it."""
    for name in ("uploader.js", "uploader.d.ts", "problems.d.ts", "md5.js"):
        shutil.copy(STATIC / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')


def run(*command: str | Path, at: Path, text: str = "") -> str:
    """Run the command, which must succeed; its output."""
    run = subprocess.run(
        command, cwd=at, input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
