"""Lives of the service: a fixed set of seeds, which judges a change, and some that are new."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

# For so many minutes at most: a busy machine lives fewer of them.
_AT_MOST = "--minutes", "0.8"
# A change is judged by the fixed ones; what the others find is seldom its fault.
_SETS = {"fixed": ("--seeds", "24", "--from", "0"), "fresh": ("--seeds", "4")}


@pytest.mark.parametrize("which", _SETS.values(), ids=_SETS)
async def test_no_seed_fails(which: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulation", *_AT_MOST, *which),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    told, _ = await process.communicate()
    print(told.decode())  # the story of a failure, and its seed
    assert process.returncode == 0
    assert b" 0 failed" in told
    assert not told.startswith(b"0 seeds")
