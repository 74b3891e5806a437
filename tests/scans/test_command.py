"""`claimcheck scan`: what has no verdict, all again, and clamd put to the proof; the doctor too."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from app.doctor.scans import check_clamd
from app.scans.clamd import Clamd
from app.settings.model import Settings, load_settings
from tests.support.clamd import INFECTED, LIMIT, NAME
from tests.support.service import as_set, running
from tests.support.steps import setting, stored


class Ran:
    """A run's status, its lines on stdout, and stderr."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.err = status, err
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]


async def ran(environ: dict[str, str], *arguments: str) -> Ran:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "scan", *arguments),
        env=as_set(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def test_before_it_is_required_and_again(
    environ: dict[str, str], settings: Settings, web: httpx.AsyncClient
) -> None:
    before = environ | setting("files", "scan", "off")
    async with running(load_settings(before)) as client:
        clean, infected = await stored(client, web), await stored(client, web, INFECTED, "b.txt")
        nothing = await ran(before)
        assert nothing.status == 1
        assert "name one with --destination" in nothing.err
        found = await ran(before, "--destination", "files")
        assert found.status == 2, found.err
        assert found.lines == [
            {"scan": "infected", "reason": NAME, "id": infected["id"], "key": infected["key"]}
        ]
        assert "scanned: 1 clean, 1 infected" in found.err
    async with running(settings) as client:
        read = (await client.get(f"/v1/files/{clean['id']}")).json()
        assert (read["scan"], read["presigned_url"] is None) == ("clean", False)
        again = await ran(environ)
        assert (again.status, again.lines) == (0, [])
        assert "scanned: nothing to do" in again.err
        # New signatures, as it were: the object is another than was found clean.
        said = {"scan": "clean", "reason": "a mistake"}
        await client.put(f"/v1/files/{infected['id']}/scan", json=said)
        later = await ran(environ, "--since", "2999-01-01")
        assert (later.status, later.lines) == (0, [])
        all_again = await ran(environ, "--since", "2020-01-01")
        assert all_again.status == 2
        assert [line["id"] for line in all_again.lines] == [infected["id"]]
        read = (await client.get(f"/v1/files/{infected['id']}")).json()
        assert (read["scan"], read["presigned_url"]) == ("infected", None)
        # It was served in between.
        assert read["links_end_at"] is not None


async def test_the_proof(environ: dict[str, str], tmp_path: Path) -> None:
    assert (await ran(environ, "--prove")).status == 0
    larger = environ | {"CLAIMCHECK_CLAMD_MAX_SIZE": str(LIMIT + 1)}
    found = await ran(larger)
    assert found.status == 1
    assert "clamd does not find a test file at the end of 1 MiB (clamd has not scanned" in found.err
    assert f"Set StreamMaxLength and MaxFileSize in clamd.conf to {LIMIT + 1} or more" in found.err
    away = await ran(environ | {"CLAIMCHECK_CLAMD_URL": f"unix://{tmp_path}/none"})
    assert away.status == 1
    assert "cannot be reached" in away.err


async def test_the_doctor(environ: dict[str, str], clamd: Clamd, tmp_path: Path) -> None:
    for more, level, words in (
        ({}, "ok", "at the end of a file of 1 MiB"),
        ({"CLAIMCHECK_CLAMD_MAX_SIZE": str(LIMIT + 1)}, "failure", "Files wait"),
        ({"CLAIMCHECK_CLAMD_URL": f"unix://{tmp_path}/none"}, "failure", "cannot be reached"),
    ):
        [finding] = (await check_clamd(load_settings(environ | more))).entries
        assert (finding.check, finding.level) == ("scan", level)
        assert words in finding.meaning
    off = load_settings(environ | setting("files", "scan", "off"))
    assert (await check_clamd(off)).entries == []
