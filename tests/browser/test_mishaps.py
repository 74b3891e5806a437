"""uploader.js in mishaps whose moment no browser can be made to hit."""

import shutil
from pathlib import Path

from app.routers.pages import STATIC
from tests.support.browser.packages import needs_npm, run

TESTS = Path(__file__).with_name("mishaps.test.mjs")


@needs_npm
def test_mishaps_are_made_good(tmp_path: Path) -> None:
    """Each on its own, in Node's test runner, which says which one is not."""
    shutil.copy(STATIC / "uploader.js", tmp_path / "uploader.mjs")
    shutil.copy(TESTS, tmp_path)
    run("node", "--test", TESTS.name, at=tmp_path)
