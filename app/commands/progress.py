"""How far a command is, on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress_line(text: str) -> Iterator[Callable[[str, bool], None]]:
    """Yield a function that takes the new text, and whether it is a milestone.

    A terminal has one line with the newest text; files and pipes have a line for each milestone.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    terminal = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not terminal) as line:
        task = line.add_task(text)

        def show(text: str, milestone: bool) -> None:
            line.update(task, description=text)
            if milestone and not terminal:
                sys.stderr.write(f"{text}\n")

        yield show
