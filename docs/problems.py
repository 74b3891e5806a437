"""Makes docs/problems.md from app/errors.py: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

from app.errors import Problem

PAGE = Path(__file__).with_suffix(".md")
HEAD = """\
# Problems

Every problem that the API answers with. [api.md](api.md#errors) says how they are written. This \
page is made from `app/errors.py` by `make docs`.

| `type`, after `urn:claimcheck:problem:` | Status | Meaning, and what to do | Further members |
|---|---|---|---|
"""


def every_problem(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """All subclasses, in the order in which app/errors.py declares them."""
    for problem in base.__subclasses__():
        yield problem
        yield from every_problem(problem)


def row(problem: type[Problem]) -> str:
    """The problem's line of the table."""
    members = ", ".join(f"`{name}`" for name in problem.members)
    cells = f"`{problem.slug()}`", str(problem.status), problem.__doc__ or "", members
    return f"| {' | '.join(cells)} |\n"


def page() -> str:
    """The whole page: by status, then by name."""
    found = sorted(every_problem(), key=lambda problem: (problem.status, problem.slug()))
    return HEAD + "".join(map(row, found))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
