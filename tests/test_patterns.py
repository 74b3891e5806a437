"""Nobody stops the event loop with a long string that a regular expression almost matches."""

import subprocess
import sys

import pytest


def run(*patterns: str, seconds: int) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.patterns", *patterns],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds,
    ).stdout


def test_no_pattern_backtracks() -> None:
    # Seconds of work, against minutes for one alone that does.
    assert int(run(seconds=300)) > 90


@pytest.mark.parametrize("pattern", [r"<Code>\s*([^<]*?)\s*</Code>", r"\s*x", "(a|aa)+b"])
def test_one_that_does_is_found(pattern: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(pattern, seconds=2)
