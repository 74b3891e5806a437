"""Adds commands to the parser. Loads nothing else: `serve` prepares the process first."""

import argparse
from collections.abc import Callable
from typing import Any, TypeAlias

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace], None]


def add_command(
    commands: Subparsers, name: str, run: Run, purpose: str, *, status: str = "", **options: Any
) -> argparse.ArgumentParser:
    """Add a command, whose own help begins with its purpose and the meaning of its exit status.

    `options` are further arguments of the parser that is returned.
    """
    description = f"{purpose}. {status}" if status else purpose
    parser = commands.add_parser(name, help=purpose, description=description, **options)
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Subparsers, name: str, purpose: str) -> Subparsers:
    """Add a command that has subcommands alone; returns the object to add those to."""
    parser = commands.add_parser(name, help=purpose, description=purpose)
    return parser.add_subparsers(required=True, metavar="ACTION")
