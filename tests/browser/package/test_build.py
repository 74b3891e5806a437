"""The package for npm in `clients/js`: what is served of it is what its sources make."""

import gzip
import json
import re
import tarfile
import tomllib
from pathlib import Path

import pytest

from app.routers.pages import STATIC
from tests.support.browser.packages import needs_npm, run
from tests.support.browser.site import ROOT, SOURCE

CORE, HOOK = 9 * 1024, 1024  # bytes, compressed

SCRIPTS = ("uploader.js", "upload-field.js", "thumbnail.js", "words.js", "md5.js", "md5-worker.js")
LANGUAGES = sorted(f"words/{path.name}" for path in (SOURCE / "src" / "words").iterdir())
BUILT = (*SCRIPTS, *LANGUAGES, "uploader.d.ts", "problems.d.ts")


def contents(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]


@needs_npm
def test_a_fresh_build_is_what_is_committed(built: Path) -> None:
    served = built / "static"
    fresh = {path.relative_to(served).as_posix() for path in served.rglob("*") if path.is_file()}
    [package] = [path.name for path in STATIC.glob("*.tgz")]
    assert fresh == {*BUILT, package}
    for name in BUILT:
        assert (built / "static" / name).read_bytes() == (STATIC / name).read_bytes(), name
    # Compressed, it may differ between versions of zlib.
    assert contents(built / "static" / package) == contents(STATIC / package)


def test_its_version_is_the_services() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in ("package.json", "package-lock.json"):
        assert json.loads((SOURCE / name).read_text())["version"] == version
    assert [path.name for path in STATIC.glob("*.tgz")] == [f"claimcheck-uploader-{version}.tgz"]


def test_it_is_small() -> None:
    assert len(gzip.compress((STATIC / "uploader.js").read_bytes(), 9)) <= CORE


def test_it_depends_on_nothing_but_itself() -> None:
    files = contents(next(STATIC.glob("*.tgz")))
    for name, code in files.items():
        if not name.endswith(".js"):
            continue
        for source in re.findall(r"(?:\bfrom|\bimport)\s*\(?\"([^\"]+)\"", code.decode()):
            if source != Path(name).stem:  # react.js imports react
                assert f"package/dist/{source.removeprefix('./')}" in files, (name, source)


def test_its_modules_are_short() -> None:
    for path in (SOURCE / "src").rglob("*.js"):
        assert len(path.read_text().splitlines()) <= 410, path


def test_the_hooks_are_small_and_hashing_is_apart() -> None:
    files = contents(next(STATIC.glob("*.tgz")))
    for name in ("react.js", "vue.js"):
        assert len(gzip.compress(files[f"package/dist/{name}"], 9)) <= HOOK, name
    core = files["package/dist/uploader.js"].decode()
    assert re.findall(r'(?:\bfrom|\bimport)\s*"(.*?)"', core) == []
    assert re.findall(r'import\("(.*?)"\)', core) == ["./md5.js"]


@needs_npm
@pytest.mark.slow
def test_publint_and_arethetypeswrong_have_no_complaint(front_end: Path) -> None:
    programs = front_end / "node_modules" / ".bin"
    said = run(programs / "publint", "--strict", "node_modules/@claimcheck/uploader", at=front_end)
    assert "All good!" in said
    [package] = STATIC.glob("*.tgz")
    run(programs / "attw", package, "--profile", "esm-only", at=front_end)
