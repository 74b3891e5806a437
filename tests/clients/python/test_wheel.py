"""The package as others install it: a wheel, in an environment of its own."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "clients" / "python"
PROGRAM = """
from claimcheck_client import Client, File

client = Client("http://127.0.0.1:9", "key")
file: File = client.file("id")
for each in client.files(destination="images"):
    print(each["filename"].upper())
client.upload(b"hello", "images", filename="a.txt")
"""


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    source, bin_ = tmp_path / "source", tmp_path / "venv" / "bin"
    run("cp", "-r", ROOT, source)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, source)
    [wheel] = tmp_path.glob("claimcheck_client-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    run(bin_ / "pip", "install", "--quiet", wheel)
    assert "--attach" in run(bin_ / "claimcheck-upload", "--help")
    assert "--attach" in run(bin_ / "python", "-m", "claimcheck_client", "--help")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    checked = (sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null")
    run(*checked, "--python-executable", bin_ / "python", program)
    program.write_text(PROGRAM.replace('file("id")', "file(1)"))
    done = subprocess.run((*checked, "--python-executable", bin_ / "python", program))
    assert done.returncode == 1  # its types are seen
