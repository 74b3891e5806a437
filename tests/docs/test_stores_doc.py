"""docs/stores.md, as far as it can be run."""

import re
from pathlib import Path
from typing import get_args

from app.core.destination import Method
from app.models.files import Seal
from app.settings.model import load_settings

TEXT = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under the heading, its two first lines left out."""
    section = TEXT.split(f"## {heading}\n")[1]
    lines = [line for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_examples_are_some_that_start(tmp_path: Path) -> None:
    toml = "\n".join(re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
    path = tmp_path / "claimcheck.toml"
    path.write_text(toml, encoding="utf-8")
    destinations = load_settings({"CLAIMCHECK_CONFIG": str(path)}).destinations
    assert destinations["footage"].method_for(1) == "multipart"
    assert destinations["recordings"].integrity == "md5"


def test_every_seal_is_explained_and_every_store_has_one() -> None:
    assert [words(seal)[0] for seal, *_ in rows("What seals a file")] == [s.value for s in Seal]
    for store, methods, settings, _, sealed in rows("The table"):
        assert words(methods), store
        assert set(words(methods)) <= set(get_args(Method)), store
        assert set(words(sealed)) <= set(Seal) - {Seal.NO}, store
        if "conditional" in words(sealed):
            assert "conditional_writes = true" in settings, store
