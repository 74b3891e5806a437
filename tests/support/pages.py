"""The code of the pages in docs/, and a shell that runs their commands."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from app.embedded.postgres import _find_install
from tests.support.service import as_set

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def block(page: str, language: str, containing: str) -> str:
    [found] = [one for one in blocks(page, language) if containing in one]
    return found


async def shell(script: str, folder: Path, environ: Mapping[str, str]) -> str:
    """The standard output of a script of which every command must succeed."""
    # The service refuses what is a setting of its clients and none of its own.
    set_up = f"""
        PYTHON="{sys.executable}"
        python() {{ "$PYTHON" "$@"; }}
        claimcheck() {{ env -u CLAIMCHECK_URL -u CLAIMCHECK_KEY "$PYTHON" -m app.cli "$@"; }}
    """
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", f"{set_up}\n{script}"),
        cwd=folder,
        env=as_set(dict(environ))
        | {
            "PYTHONPATH": os.pathsep.join(
                str(ROOT / folder) for folder in (".", "clients/python/src", "clients/django/src")
            ),
            "PATH": f"{_find_install() / 'bin'}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()
