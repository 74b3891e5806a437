"""The `claimcheck` command, as a shell starts it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def claimcheck(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in an environment with no other settings in it."""
    script = Path(sys.executable).with_name("claimcheck")
    return subprocess.run(
        [script, *arguments],
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | environ,
        capture_output=True,
        text=True,
        timeout=180,
    )
