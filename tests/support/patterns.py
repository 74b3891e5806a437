"""Runs regular expressions of the service on long strings that they almost match.

`python -m tests.support.patterns` takes all that `app` has, and says how many; with arguments it
takes those in their place. One that backtracks with the square of the length never ends.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

LENGTH: Final = 250_000
# No pattern takes it at an end.
_END: Final = "\x00"
_SEARCHES: Final = r"search|sub|split|findall|finditer"
_CATEGORIES: Final = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " "}
# Of them those are repeated that a negated class does not leave out.
_COMMON: Final = "a 0\t~"

Pattern = re.Pattern[Any]


def of_app() -> Iterator[tuple[Pattern, bool]]:
    """Each pattern of `app`, with whether it is searched for, not only matched. Not those of the
    settings, which whoever runs the service writes.
    """
    for path in sorted(Path("app").rglob("*.py")):
        if path.stem in {"__main__", "__init__"} or "settings" in path.parts:
            continue
        source = path.read_text()
        if not re.search(r"^import re$", source, re.MULTILINE):
            continue
        module = import_module(".".join(path.with_suffix("").parts))
        yield from _named(module, source)
        yield from _inline(source)


def _named(module: ModuleType, source: str) -> Iterator[tuple[Pattern, bool]]:
    for name, value in vars(module).items():
        if isinstance(value, re.Pattern):
            # One that is passed on may be searched for there.
            uses = re.findall(rf"\b{name}\b(?! *(?::|=))(?:\.(\w+))?", source)
            yield value, any(use in {"", *_SEARCHES.split("|")} for use in uses)


def _inline(source: str) -> Iterator[tuple[Pattern, bool]]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("re"), attr=function),
                args=[ast.Constant(text), *_],
            ):
                yield re.compile(text), function in _SEARCHES.split("|")


def hostile(pattern: Pattern) -> set[str]:
    """Strings that begin as the pattern does, and then repeat what one of its parts repeats."""
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    parsed = import_module("re._parser").parse(pattern.pattern, flags)
    _, repeated = _example(parsed)
    repeated |= {("", " "), ("", "a")}
    return {start + again * (LENGTH // len(again)) + _END for start, again in repeated}


def _example(parts: Iterable[Any]) -> tuple[str, set[tuple[str, str]]]:
    """The shortest string that matches, and what may be repeated behind which beginning."""
    text = ""
    repeated: set[tuple[str, str]] = set()
    inner: set[tuple[str, str]]
    for operation, value in parts:
        one, inner = "", set()
        match operation.name, value:
            case "LITERAL", code:
                one = chr(code)
            case "NOT_LITERAL" | "ANY" | "IN", _:
                one = _choices(operation.name, value)[0]
            case "SUBPATTERN", (*_, sub):
                one, inner = _example(sub)
            case "BRANCH", (_, branches):
                for branch in reversed(branches):
                    one, more = _example(branch)
                    inner |= more
            case "MAX_REPEAT" | "MIN_REPEAT", (least, _, sub):
                each, inner = _example(sub)
                again = {each}
                if len(sub) == 1 and sub[0][0].name in {"NOT_LITERAL", "ANY", "IN"}:
                    again |= set(_choices(sub[0][0].name, sub[0][1]))
                inner |= {("", one) for one in again if one}
                one = each * least
        repeated |= {(text + start, again) for start, again in inner}
        text += one
    return text, repeated


def _choices(name: str, value: Any) -> list[str]:
    """Characters that one part takes."""
    if name == "ANY":
        return list(_COMMON)
    if name == "NOT_LITERAL":
        return [one for one in _COMMON if ord(one) != value]
    kinds = [(kind.name, given) for kind, given in value]
    if ("NEGATE", None) in kinds:
        left_out = {chr(given) for kind, given in kinds if kind == "LITERAL"}
        blank = any(kind == "CATEGORY" for kind, _ in kinds)
        return [c for c in _COMMON if c not in left_out and not (blank and c.isspace())]
    return [_first(kind, given) for kind, given in kinds]


def _first(kind: str, given: Any) -> str:
    if kind == "CATEGORY":
        return _CATEGORIES.get(given.name, "a")
    return chr(given if kind == "LITERAL" else given[0])


def main(given: list[str]) -> None:
    tried = 0
    for pattern, is_searched in of_app() if not given else ((re.compile(g), True) for g in given):
        for text in hostile(pattern):
            is_bytes = isinstance(pattern.pattern, bytes)
            subject: Any = text.encode("latin-1", "replace") if is_bytes else text
            pattern.fullmatch(subject)
            if is_searched:
                pattern.search(subject)
        tried += 1
    sys.stdout.write(str(tried))


if __name__ == "__main__":
    main(sys.argv[1:])
