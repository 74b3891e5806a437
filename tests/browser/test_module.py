"""uploader.js as a front end copies it: what it tells a type checker."""

import re
from pathlib import Path

import pytest

from app.routers.pages import STATIC
from tests.support.browser.packages import copy_module, needs_npm, run

GUIDE = Path(__file__).parents[2] / "docs" / "browser.md"

pytestmark = needs_npm


@pytest.fixture
def project(packages: Path, tmp_path: Path) -> Path:
    """A front end that has copied the module."""
    copy_module(tmp_path)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    return tmp_path


def check(project: Path, code: str) -> str:
    """The compiler's output for a script in the project."""
    (project / "main.ts").write_text(code)
    tsc = "node_modules/.bin/tsc --strict --noEmit --pretty false --target es2022 --types ''"
    command = f"{tsc} --module preserve main.ts uploader.d.ts || true"
    return run("sh", "-c", command, at=project)


def test_the_guides_example_has_the_types_it_says(project: Path) -> None:
    [code] = re.findall(r"```ts\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert check(project, code) == ""


def test_mistakes_are_found(project: Path) -> None:
    said = check(
        project,
        """import { Uploader } from "./uploader.js";
        const uploader = new Uploader({ endpont: "/" });
        uploader.upload("a string");
        uploader.upload(new Blob()).stop();
        """,
    )
    assert [line.partition(":")[0] for line in said.splitlines() if line.startswith("main.ts")] == [
        "main.ts(2,41)",
        "main.ts(3,25)",
        "main.ts(4,37)",
    ]


def test_everything_that_is_declared_is_there(project: Path) -> None:
    """Run, not only compiled: names and members of the module and of its declarations."""
    (project / "main.mjs").write_text(
        """import * as module from "./uploader.js";
        const { Uploader, Uploads, UploadError } = module;
        console.log(Object.keys(module).sort().join());
        console.log(Object.getOwnPropertyNames(Uploader.prototype).sort().join());
        console.log(Object.keys(new Uploads()).sort().join());
        console.log(Object.keys(new UploadError("Title", "Detail")).sort().join());"""
    )
    names, members, lists, error = run("node", "main.mjs", at=project).splitlines()
    declared = (STATIC / "uploader.d.ts").read_text()
    assert names.split(",") == sorted(re.findall(r"export declare \w+ (\w+)", declared))
    _, errors, uploaders, uploads = declared.split("declare class ")
    uploaders = uploaders.split("interface ")[0]
    assert set(re.findall(r"^  readonly (\w+):", uploads, re.MULTILINE)) <= set(lists.split(","))
    assert members.split(",") == sorted(set(re.findall(r"^  (\w+)[<(]", uploaders, re.MULTILINE)))
    assert set(re.findall(r"readonly (\w+):", errors)) <= set(error.split(","))
