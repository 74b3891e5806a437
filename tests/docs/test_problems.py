"""docs/problems.md is what app/errors.py says, and what the code raises is what both say."""

import ast
import re
import runpy
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from app.errors import Problem

ROOT = Path(__file__).parents[2]
MAKER = runpy.run_path(str(ROOT / "docs" / "problems.py"))
FOUND: list[type[Problem]] = list(MAKER["every_problem"]())
# Of every problem: they are not members of the JSON, or of every one.
ARGUMENTS = {"retry_after", "headers"}


def test_the_page_is_made_from_the_classes() -> None:
    page = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    assert page == MAKER["page"](), "app/errors.py has changed: run `make docs`"
    types = MAKER["TYPES"].read_text(encoding="utf-8")
    assert types == MAKER["types"](), "app/errors.py has changed: run `make docs js`"
    assert len({problem.slug() for problem in FOUND}) == len(FOUND) > 20


def test_every_problem_says_what_it_is() -> None:
    for problem in FOUND:
        assert problem.__doc__ is not None, problem
        assert re.fullmatch(r"[A-Z`].*\.", problem.__doc__), problem
        assert problem.title != "Internal error" or problem.slug() == "internal-error"
        assert 400 <= problem.status < 600
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", problem.slug())


def raised(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Each problem that is made in a module, and the names of what is given with it.

    What comes as `**more` counts by the keys that the function around it writes.
    """
    names = {problem.__name__ for problem in FOUND}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        nodes = list(ast.walk(function))
        keys = {
            key.value
            for node in nodes
            if isinstance(node, ast.Dict)
            for key in node.keys
            if isinstance(key, ast.Constant)
        }
        for node in nodes:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in names
            ):
                given = {keyword.arg for keyword in node.keywords if keyword.arg}
                more = any(keyword.arg is None for keyword in node.keywords)
                yield node.func.id, given | (keys if more else set())


def test_every_further_member_is_declared_and_every_declared_one_is_given() -> None:
    given: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "app").rglob("*.py"):
        for name, members in raised(ast.parse(path.read_text(encoding="utf-8"))):
            given[name] |= members - ARGUMENTS
    declared = {problem.__name__: set(problem.members) for problem in FOUND}
    assert {name: members for name, members in given.items() if members} == {
        name: members for name, members in declared.items() if members
    }
