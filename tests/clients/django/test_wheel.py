"""The package as others install it: a wheel, with all that it needs in it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "clients" / "django"


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["cp", "-r", ROOT, source], check=True)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path)
    subprocess.run([*pip, source], check=True, timeout=300)
    [wheel] = tmp_path.glob("django_claimcheck-*.whl")
    there = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix in {".py", ".html", ".css", ".typed"}
    }
    assert there <= set(zipfile.ZipFile(wheel).namelist())
    assert len(there) > 15
