"""Adds commands to the parser. Loads nothing else: `serve` prepares the process first."""

import argparse
import sys
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
    return add_commands(commands.add_parser(name, help=purpose, description=purpose), "ACTION")


def add_commands(parser: argparse.ArgumentParser, metavar: str) -> Subparsers:
    """The object to add a parser's commands to. Called without one, it lists them on standard
    error, and ends with the exit status of a wrong call.
    """

    def list_commands(_: argparse.Namespace) -> None:
        parser.print_help(sys.stderr)
        parser.exit(2)

    parser.set_defaults(run=list_commands)
    return parser.add_subparsers(metavar=metavar)
