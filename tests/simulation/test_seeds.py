"""Lives of the service: a fixed set of seeds, which judges a change, and some that are new."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# A change is judged by the fixed ones, by all of them however busy the machine is. What the others
# find, of which as many are lived as there is time for, is seldom its fault.
_SETS = {
    "fixed": (("--seeds", "24", "--from", "0"), rb"^24 seeds, 0 failed"),
    "fresh": (("--seeds", "4", "--minutes", "0.8"), rb"^[1-9]\d* seeds, 0 failed"),
}


@pytest.mark.parametrize(("which", "said"), _SETS.values(), ids=_SETS)
async def test_no_seed_fails(which: tuple[str, ...], said: bytes) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.simulation", *which),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    told, _ = await process.communicate()
    print(told.decode())  # the story of a failure, and its seed
    assert process.returncode == 0
    assert re.search(said, told, re.MULTILINE)
