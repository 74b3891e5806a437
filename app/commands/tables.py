"""Tables for the lists that commands print."""

from typing import Final

from rich.console import Console
from rich.table import Column, Table

_WIDEST: Final = 10_000


def listing(*names: str) -> Table:
    """A table with these columns. On a narrow terminal, long words are folded, never cut."""
    return Table(*(Column(name, overflow="fold") for name in names))


def print_listing(table: Table) -> None:
    """Print the table in the terminal's width; into files and pipes in its own width."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDEST
    console.print(table)
