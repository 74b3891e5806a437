"""One seed is one life, wherever and however often it is lived."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.simulation.plan import draw
from tests.simulation.run import Runner
from tests.simulation.server import Server

_SEEDS: Final = 11, 12


async def _history(seed: int) -> bytes:
    """As a process of its own tells it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulation", "--seed", str(seed)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    told, _ = await process.communicate()
    return told


async def test_two_processes_tell_the_same_history_byte_for_byte() -> None:
    one, other = await asyncio.gather(_history(_SEEDS[0]), _history(_SEEDS[0]))
    assert one.count(b"\n") > 20
    assert one == other


def test_a_life_does_not_depend_on_those_before_it(server: Server) -> None:
    runner = Runner(server)
    first = runner.live(draw(_SEEDS[0]))
    runner.live(draw(_SEEDS[1]))
    again = runner.live(draw(_SEEDS[0]))
    assert first.lines
    assert first.lines == again.lines
    assert first.seams == again.seams
