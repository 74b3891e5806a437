"""docs/security.md has every requirement of the chapters it names, and names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
# How many requirements each section of ASVS 5.0 has; of V10 those of a resource server.
SECTIONS = {
    "5.1": 1,
    "5.2": 6,
    "5.3": 3,
    "5.4": 3,
    "8.1": 4,
    "8.2": 4,
    "8.3": 3,
    "8.4": 2,
    "9.1": 3,
    "9.2": 4,
    "10.1": 1,
    "10.3": 5,
}


class Row(NamedTuple):
    """A requirement, and where it stands."""

    number: str
    level: str
    met: str
    done: str
    tests: str
    left: str


ROWS = [
    Row(*(cell.strip() for cell in line.strip("|").split("|")))
    for line in TEXT.splitlines()
    if re.match(r"\| \d", line)
]


@cache
def functions_of(path: Path) -> set[str]:
    """The functions of a module, those in classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, made)}


def test_every_requirement_is_there_in_order() -> None:
    wanted = [f"{name}.{n}" for name, count in SECTIONS.items() for n in range(1, count + 1)]
    assert [row.number for row in ROWS] == wanted
    assert sum(row.number.startswith("5.") for row in ROWS) == 13


def test_file_handling_is_met_up_to_level_2() -> None:
    missing = [
        row.number
        for row in ROWS
        if row.number.startswith("5.") and row.level != "3" and row.met not in {"yes", "set"}
    ]
    assert missing == []


@pytest.mark.parametrize("row", ROWS, ids=[row.number for row in ROWS])
def test_what_is_met_is_proved(row: Row) -> None:
    assert row.level in {"1", "2", "3"}
    assert row.met in {"yes", "set", "partly", "no"}
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.tests)
    assert ", ".join(f"`{path}::{name}`" for path, name in named) == row.tests
    assert bool(named) == (row.met != "no")
    for path, name in named:
        assert name in functions_of(ROOT / path), f"{path} has no {name}"
    if row.met != "no":
        assert row.done
    if row.met != "yes":
        assert row.left
