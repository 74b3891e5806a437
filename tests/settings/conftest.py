"""Settings from a TOML file."""

from pathlib import Path

import pytest


@pytest.fixture
def toml(tmp_path: Path):
    """Writes the text to a TOML file and gives the environment that names it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "claimcheck.toml"
        path.write_text(text, encoding="utf-8")
        return {"CLAIMCHECK_CONFIG": str(path)}

    return write
