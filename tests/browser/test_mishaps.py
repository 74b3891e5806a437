"""uploader.js in mishaps whose moment no browser can be made to hit."""

import shutil
from pathlib import Path

import pytest

from tests.support.browser.packages import copy_module, needs_npm, run

HERE = Path(__file__).parent


@needs_npm
@pytest.mark.parametrize("name", ["mishaps.test.mjs", "contents.test.mjs", "integrity.test.mjs"])
def test_mishaps_are_made_good(name: str, tmp_path: Path) -> None:
    """Each on its own, in Node's test runner, which says which one is not."""
    copy_module(tmp_path)
    shutil.copy(HERE / "made_up.mjs", tmp_path)
    shutil.copy(HERE / name, tmp_path)
    run("node", "--test", name, at=tmp_path)
