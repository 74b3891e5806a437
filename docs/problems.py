"""Makes docs/problems.md, and types for TypeScript, from app/errors.py: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

from app.errors import Problem

PAGE = Path(__file__).with_suffix(".md")
TYPES = PAGE.parents[1] / "clients" / "js" / "src" / "problems.d.ts"
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


def in_order() -> list[type[Problem]]:
    return sorted(every_problem(), key=lambda problem: (problem.status, problem.slug()))


def page() -> str:
    """The whole page: by status, then by name."""
    return HEAD + "".join(map(row, in_order()))


TYPES_HEAD = """\
/** The problems of the API (RFC 9457). Made from app/errors.py by `make docs`. */

/** The names of each problem's further members, by the end of its `type`. */
export interface ProblemMembers {
"""
TYPES_TAIL = """\
}

export type ProblemType = keyof ProblemMembers;

/** A problem as JSON; `Problem<"size-not-allowed">` has the further members of that one. */
export type Problem<Type extends ProblemType = ProblemType> = {
  type: `urn:claimcheck:problem:${Type}`;
  title: string;
  status: number;
  detail: string;
  request_id: string;
} & { [member in ProblemMembers[Type]]?: unknown };
"""


def types() -> str:
    """The declarations: of each problem its sentence, slug and members."""
    lines = []
    for problem in in_order():
        members = " | ".join(f'"{name}"' for name in problem.members) or "never"
        lines.append(
            f'  /** {problem.status}: {problem.__doc__} */\n  "{problem.slug()}": {members};\n'
        )
    return TYPES_HEAD + "".join(lines) + TYPES_TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    TYPES.write_text(types(), encoding="utf-8")
