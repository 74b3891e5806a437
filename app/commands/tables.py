"""How commands print their lists."""

from typing import Final

from rich.console import Console
from rich.table import Column, Table

_WIDEST: Final = 10_000


def listing(*names: str) -> Table:
    """A table with these columns. On a terminal that is too narrow, words are broken, never cut."""
    return Table(*(Column(name, overflow="fold") for name in names))


def print_listing(table: Table) -> None:
    """To the terminal; anywhere else as wide as it is, for grep and for files."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDEST
    console.print(table)
