"""`pip install` puts in its place all that is in `app`, the panel's pages too."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def test_the_wheel_holds_every_file_of_the_application(tmp_path: Path) -> None:
    # Elsewhere: building leaves things behind.
    source = tmp_path / "source"
    source.mkdir()
    shutil.copytree(ROOT / "app", source / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-c", _BUILD, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("*.whl")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "app"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = set(listed.stdout.rstrip("\0").split("\0"))
    assert "app/admin/templates/files.html" in files
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()
