"""Lives of the service: a fixed set of seeds, which judges a change, and some that are new."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

# How many at most, and for how many minutes: a busy machine lives fewer of them.
_AT_MOST = "--seeds", "40", "--minutes", "0.8"


@pytest.mark.parametrize("which", [("--from", "0"), ()], ids=["fixed", "fresh"])
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
