"""The imports that the service makes when it is running, not when it is started."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Late(NamedTuple):
    """An import within a function. In a coroutine it would stop the event loop."""

    path: str
    module: str
    in_coroutine: bool


def imported_late() -> Iterator[Late]:
    """Those of the service: not of its commands, nor of the doctor."""
    for path in Path("app").rglob("*.py"):
        if {"commands", "embedded", "doctor", "cli.py"} & {*path.parts}:
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    for module in _imported(node):
                        in_coroutine = isinstance(function, ast.AsyncFunctionDef)
                        yield Late(path.as_posix(), module, in_coroutine)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = str(node.module)
        inner = [f"{package}.{alias.name}" for alias in node.names]
        yield from (filter(_is_module, inner) if _is_package(package) else [package])


def _is_package(name: str) -> bool:
    return Path(*name.split("."), "__init__.py").exists()


def _is_module(name: str) -> bool:
    return Path(*name.split(".")).with_suffix(".py").exists()
