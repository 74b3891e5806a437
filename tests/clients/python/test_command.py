"""`claimcheck-upload`, and the README's examples."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from claimcheck_client import Client
from claimcheck_client.source import PIPED

from tests.clients.python.place import PART, Place
from tests.support.samples import PNG, ftyp

ROOT = Path(__file__).parents[3] / "clients" / "python"
README = (ROOT / "README.md").read_text()
Sample = Callable[..., Path]


def environ_of(place: Place, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CLAIMCHECK_URL": place.url,
        "CLAIMCHECK_KEY": place.key,
    }


async def run(
    place: Place, tmp_path: Path, *arguments: str, data: bytes = b"", status: int = 0
) -> tuple[str, str]:
    """Run the command; its output and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claimcheck_client", *arguments),
        env=environ_of(place, tmp_path),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate(data)
    assert process.returncode == status, errors.decode()
    return output.decode(), errors.decode()


async def test_files_and_records(place: Place, sample: Sample, tmp_path: Path) -> None:
    sample(PART + 7)
    attach = ("--attach", "product/cli/clip", "--metadata", "scene=12")
    output, errors = await run(place, tmp_path, "film.bin", "--to", "parts", "--json", *attach)
    file = json.loads(output)
    assert (file["filename"], file["size"], errors) == ("film.bin", PART + 7, "")
    assert file["metadata"] == {"scene": "12"}
    with Client(place.url, place.key, cache=None) as client:
        record = client.records.get("product", "cli")
    assert record["fields"]["clip"]["file_id"] == file["id"]


async def test_standard_input(place: Place, tmp_path: Path) -> None:
    how = ("-", "--name", "a.txt", "--to", "files")
    output, _ = await run(place, tmp_path, *how, data=b"hello")
    assert re.fullmatch(r"[0-9a-f-]{36}  -\n", output)
    how = ("-", "--name", "a.bin", "--to", "parts", "--json")
    output, errors = await run(place, tmp_path, *how, data=bytes(PIPED + 7))
    assert (json.loads(output)["size"], errors) == (PIPED + 7, "")


async def test_each_is_tried(place: Place, sample: Sample, tmp_path: Path) -> None:
    sample(7)
    output, errors = await run(place, tmp_path, "absent.bin", "film.bin", "--to", "files", status=1)
    assert "film.bin" in output
    assert errors == "absent.bin: No such file or directory\n"


@pytest.mark.parametrize(("key", "hint"), [("", "Set"), ("claimcheck_key_no", "It is that of")])
async def test_it_is_said_where_the_key_belongs(
    place: Place, sample: Sample, tmp_path: Path, key: str, hint: str
) -> None:
    sample(7)
    stranger = replace(place, key=key)
    _, errors = await run(stranger, tmp_path, "film.bin", "--to", "files", status=1)
    assert f"({hint} CLAIMCHECK_KEY.)" in errors


async def test_it_says_that_it_tries_again(place: Place, sample: Sample, tmp_path: Path) -> None:
    sample(7)
    away = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claimcheck_client", "film.bin", "--to", "files"),
        env=environ_of(replace(place, url="http://127.0.0.1:9"), tmp_path),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    assert away.stderr is not None
    said = (await away.stderr.readline()).decode()
    away.kill()
    await away.wait()
    assert said.startswith("http://127.0.0.1:9 cannot be reached.")
    assert "Trying again in " in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("film.bin",),
        ("-", "--to", "files"),
        ("a", "b", "--name", "c", "--to", "files"),
        ("a", "--to", "files", "--attach", "product/42"),
        ("a", "--to", "files", "--metadata", "scene"),
        ("a", "--to", "files", "--url", "localhost:8000"),
    ],
)
def test_it_is_called_wrongly(arguments: tuple[str, ...]) -> None:
    from claimcheck_client.command import main

    with pytest.raises(SystemExit) as end:
        main(["--url", "http://127.0.0.1:9", *arguments])
    assert end.value.code == 2


async def test_readme(place: Place, tmp_path: Path) -> None:
    """Its examples run as they stand."""
    (tmp_path / "film.mp4").write_bytes(ftyp("isom"))
    (tmp_path / "poster.png").write_bytes(PNG)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    command = bin_ / "claimcheck-upload"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m claimcheck_client "$@"\n')
    command.chmod(0o755)
    environ = environ_of(place, tmp_path)
    environ["PATH"] = f"{bin_}:{environ['PATH']}"
    programs = [(sys.executable, "-c", code) for code in blocks("python")]
    scripts = [("bash", "-ec", code) for code in blocks("bash")]
    assert (len(programs), len(scripts)) == (3, 1)
    for program in (*programs, *scripts):
        process = await asyncio.create_subprocess_exec(
            *program, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    assert (tmp_path / "copy.mp4").read_bytes() == (tmp_path / "film.mp4").read_bytes()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_links_of_the_readme() -> None:
    for target in re.findall(r"\]\((\.\./[^)#]*)", README):
        assert (ROOT / target).is_file(), target
