"""The contracts of pyproject.toml hold for a file that nobody has told them of."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BROKEN = [
    ("app/files/shortcut.py", "import fastapi", "HTTP stays at the doors"),
    ("app/uploads/shortcut.py", "import sqlalchemy", "SQL stays in models and db"),
    ("app/records/shortcut.py", "import asyncpg", "SQL stays in models and db"),
    ("app/core/shortcut.py", "import aiohttp", "The core is pure"),
    ("app/core/clock.py", "import time", "The core is pure"),
    ("app/embedded/shortcut.py", "import app.core.ids", "What is embedded knows nothing"),
    ("app/db/shortcut.py", "import app.uploads.verify", "Imports point down"),
    ("app/routers/shortcut.py", "import app.routers.files", "Routers do not import each other"),
    ("app/runtime/shortcut.py", "import boto3", "Nothing blocks the event loop"),
    ("app/room/__init__.py", "", "Imports point down"),
    ("app/loose.py", "", "Imports point down"),
]


def lint(tree: Path) -> str:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ended = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert ended.returncode in {0, 1}, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "app", copy / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_they_hold_today(tree: Path) -> None:
    said = lint(tree)
    assert "BROKEN" not in said, said
    assert said.count(" KEPT") == 7


@pytest.mark.parametrize(("path", "line", "contract"), BROKEN, ids=[path for path, _, _ in BROKEN])
def test_a_new_file_is_held_by_them(tree: Path, path: str, line: str, contract: str) -> None:
    new = tree / path
    new.parent.mkdir(exist_ok=True)
    new.write_text(f"{line}\n")
    try:
        broken = [each for each in lint(tree).splitlines() if " BROKEN" in each]
    finally:
        new.unlink()
        if not any(new.parent.iterdir()):
            new.parent.rmdir()
    assert [each for each in broken if each.startswith(contract)], broken


def test_every_room_is_closed_to_what_is_embedded() -> None:
    rooms = {path.stem for path in (ROOT / "app").iterdir() if path.suffix in {"", ".py"}}
    rooms -= {"__init__", "__pycache__", "embedded", "static", "admin"}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [closed] = [each for each in contracts["contracts"] if "embedded" in each["name"]]
    assert set(closed["forbidden_modules"]) == {f"app.{room}" for room in rooms}
