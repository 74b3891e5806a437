"""Rules of the tree: short files, and tests that borrow from `tests/support/` alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 400
FOLDERS = ("app", "tests", "bench", "alembic", "clients/python/src", "clients/django/src")


def files_of(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str) -> Iterator[str]:
    """The modules of `tests` that a module imports, wherever it does; of packages, their names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith("tests."))


def borrowed(path: Path, source: str) -> list[str]:
    """Imports from test files, conftests and folders that are neither the file's own nor support.

    A folder may import from those that it lies in, and from those within it.
    """
    own = module_of(path).split(".")[:-1]
    found = []
    for name in imports_of(source):
        parts = name.split(".")
        folder = parts[: next((i for i, p in enumerate(parts) if _is_module(parts[: i + 1])), 0)]
        is_near = parts[1] == "support" or own[: len(folder)] == folder
        is_near = is_near or (len(own) > 1 and folder[: len(own)] == own)
        if not is_near or any(part.startswith(("test_", "conftest")) for part in parts):
            found.append(name)
    return found


def _is_module(parts: list[str]) -> bool:
    return ROOT.joinpath(*parts).with_suffix(".py").is_file()


def scripts_and_styles() -> Iterator[Path]:
    """Those that pages load as they are written; clients/js builds the others, from short files."""
    for folder in ("app/static", "app/static/page", "app/static/request", "app/admin/static"):
        for path in (ROOT / folder).glob("*.*s"):
            if "/*! Claimcheck" not in path.read_text():
                yield path.relative_to(ROOT)


def test_no_file_is_too_long() -> None:
    files = [*files_of(*FOLDERS), *scripts_and_styles()]
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in files}
    assert {path for path, length in lengths.items() if length > MOST_LINES} == set()


def test_tests_borrow_from_support_alone() -> None:
    sources = {path: (ROOT / path).read_text() for path in files_of("tests")}
    found = {str(path): borrowed(path, source) for path, source in sources.items()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "is_borrowed"),
    [
        ("from tests.support.steps import announced", False),
        ("from tests.support import secrets_in_logs", False),
        ("from tests.upkeep.sweep.steps import states", False),
        ("from tests.records.steps import gallery", True),
        ("import tests.records.steps", True),
        ("def late():\n    from tests.records.steps import gallery", True),
        ("from tests.records import steps", True),
        ("from tests.upkeep.sweep.conftest import environ", True),
        ("from tests.upkeep.test_reconcile import found", True),
        ("import tests.upkeep.test_reconcile", True),
        ("from tests.conftest import settings", True),
    ],
)
def test_what_is_borrowed(source: str, is_borrowed: bool) -> None:
    path = Path("tests/upkeep/sweep/test_parts.py")
    assert bool(borrowed(path, source)) is is_borrowed


def test_every_folder_of_tests_is_a_package() -> None:
    """So that helpers are imported one way, and `scope="package"` means the folder."""
    folders = {path.parent for path in files_of("tests")}
    assert {str(f) for f in folders if not (ROOT / f / "__init__.py").is_file()} == set()


def sources_of_clients() -> Iterator[Path]:
    """The scripts that are built from, but for what they say in other languages."""
    for path in (ROOT / "clients" / "js" / "src").rglob("*.js"):
        if path.parent.name != "words" or path.name == "en.js":
            yield path.relative_to(ROOT)


def prose_of(path: Path) -> Iterator[str]:
    """The docstrings and comments of a module; of a script, all of it."""
    source = (ROOT / path).read_text()
    if path.suffix != ".py":
        yield source
        return
    yield from (line.partition("#")[2] for line in source.splitlines() if "#" in line)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def is_built(script: Path) -> bool:
    """Whether it is made of `clients/`, with names that nobody chose."""
    return script.read_text().startswith("/*! Claimcheck ")


def test_docstrings_stand_alone() -> None:
    found = {
        (str(path), text.splitlines()[0])
        for path in files_of(*FOLDERS)
        for text in prose_of(path)
        if re.match(r"(What|The same) ", text)
    }
    assert found == set()


def test_people_are_they() -> None:
    static = (path for path in (ROOT / "app" / "static").glob("*.*s") if not is_built(path))
    sources = (ROOT / "clients").glob("*/src/**/*.js")
    scripts = (path.relative_to(ROOT) for path in (*static, *sources))
    found = {
        (str(path), one[0])
        for path in (*files_of(*FOLDERS), *scripts)
        for text in prose_of(path)
        for one in re.finditer(r"(?i)[^\n]*\b(he|his|him|himself|she|her)\b[^\n]*", text)
    }
    assert found == set()
