"""A corpus of files as real programs write them, and what browsers announce for their extensions.

tests/contents has them: `build.py` made `files/` with the modules here, and `announced.tsv`, whose
sources `announced.py` names.
"""

from pathlib import Path
from typing import Final

from app.core.content_types import guess_content_type

_HERE: Final = Path(__file__).parents[2] / "contents"
FILES: Final = sorted((_HERE / "files").iterdir())


def announced_types(file: Path) -> list[str]:
    """Each type that some browser announces for the file, and the one that we guess."""
    extension = file.suffix[1:].lower()
    told = _TYPES[extension]
    return list(
        dict.fromkeys([*(kind for kind in told if kind != "-"), guess_content_type(extension)])
    )


def lies(file: Path) -> bool:
    """Whether its name says another format than it has, without meaning harm."""
    return file.name.startswith("really-a-")


def _table() -> dict[str, list[str]]:
    _, *lines = (_HERE / "announced.tsv").read_text().splitlines()
    return {extension: kinds for extension, *kinds in (line.split("\t") for line in lines)}


_TYPES: Final = _table()
