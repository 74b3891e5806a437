"""docs/scan.md: its clamd.conf scans what the settings say by default, and its request fits."""

import json
import re
from pathlib import Path

from app.routers.scans import VerdictBody
from app.scans.proof import prove
from app.settings.model import Settings
from tests.support.clamd import start_clamd

PAGE = (Path(__file__).parents[2] / "docs" / "scan.md").read_text(encoding="utf-8")


async def test_the_configuration_of_clamd(tmp_path: Path) -> None:
    [block] = re.findall(r"^   ```\n(.*?)^   ```", PAGE, re.DOTALL | re.M)
    lines = [line.strip() for line in block.splitlines()]
    here = [line for line in lines if not line.startswith("TCP")]
    assert len(lines) - len(here) == 2
    size = Settings.model_fields["clamd_max_size"].default
    assert str(size) in PAGE
    with start_clamd(tmp_path, "\n".join(here) + "\n") as clamd:
        assert await prove(clamd, size) == []


def test_the_request() -> None:
    [body] = re.findall(r"-d '(.*?)'", PAGE)
    assert VerdictBody(**json.loads(body)).scan == "infected"
