"""uploader.js in mishaps whose moment no browser can be made to hit."""

import shutil
from pathlib import Path

from tests.support.browser.packages import copy_module, needs_npm, run

TESTS = Path(__file__).with_name("mishaps.test.mjs")


@needs_npm
def test_mishaps_are_made_good(tmp_path: Path) -> None:
    """Each on its own, in Node's test runner, which says which one is not."""
    copy_module(tmp_path)
    shutil.copy(TESTS, tmp_path)
    run("node", "--test", TESTS.name, at=tmp_path)
