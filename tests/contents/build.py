"""Makes the corpus anew: `python -m tests.contents.build`, from the root, on Debian 12.

It needs what `packages.txt` names, Debian's and PyPI's, in a virtual environment of its own; CI
never runs it. Files come out a little different each time (times, random keys), so what is
committed only changes where a new file is wanted. No file is longer than 8 KiB: what is longer is
cut, since contents are looked at by their first 4.
"""

import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

from tests.support.corpus import announced, archives, data, media, office, raw, text

HERE: Final = Path(__file__).parent
_MOST: Final = 8192


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for maker in (media, raw, archives, data, text, office):
            maker.make(made)
        told = raw.told_by_exiftool(made)
        for path in sorted(made.glob("camera.*")):
            print(f"ExifTool: {path.name} is {told.get(path.name)}")
        kept = HERE / "files"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for path in sorted(made.iterdir()):
            # A name without an extension is announced as nothing, and so nothing is compared.
            # Python is left out, or it would be linted as ours.
            if path.is_file() and path.suffix not in {"", ".py"}:
                (kept / path.name).write_bytes(path.read_bytes()[:_MOST])
    extensions = {path.suffix[1:].lower() for path in kept.iterdir()}
    newer = Path(str(resources.files("mimetype_description"))) / "freedesktop.org.xml"
    announced.write(HERE / "announced.tsv", extensions, _asked(extensions), newer)


def _asked(extensions: set[str]) -> dict[str, str]:
    """The type that the installed Chromium announces for each extension."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = [Path(folder) / f"a.{extension}" for extension in extensions]
        for path in paths:
            path.write_bytes(b"x")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_content("<input type=file multiple>")
        page.set_input_files("input", paths)
        pairs = page.evaluate(
            "[...document.querySelector('input').files].map(f => [f.name, f.type])"
        )
        print(f"Chromium {browser.version}, {_version('shared-mime-info')}")
        browser.close()
    return {name.removeprefix("a."): kind for name, kind in pairs}


def _version(package: str) -> str:
    asked = ["dpkg-query", "-W", "-f=${Package} ${Version}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
