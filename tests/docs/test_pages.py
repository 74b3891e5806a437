"""README, docs and the bench's pages: their links lead somewhere, and what they say is so."""

import itertools
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from app.models.files import MOVES

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(ROOT / "clients").glob("*/README.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / "bench").glob("*.md"),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the page's headings: lower case, no punctuation, hyphens for
    spaces.

    A heading that comes again gets a number.
    """
    seen: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def dangling(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading."""
    bad = []
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            bad.append(link)
    return bad


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dangling(page) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# One `two`: three\n\n## Same\n\n## Same\n\n```sh\n# No heading\n```\n")
    page.write_text(
        "# Here\n\n[1](#here) [2](b.md#one-two-three) [3](b.md#same-1) [4](https://example.com/x) "
        "[5](b.md) [6](#there) [7](c.md) [8](b.md#same-2) [9](b.md#no-heading) `[10](d.md)`\n"
    )
    assert dangling(page) == ["#there", "c.md", "b.md#same-2", "b.md#no-heading"]


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#\s]+)", text))
    assert {name for name in NAMES if name.startswith("docs/")} <= linked
    assert len(text.split()) <= 1500


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_people_are_they(page: Path) -> None:
    assert re.findall(r"\b(?:he|his|him|himself)\b", prose(page), re.IGNORECASE) == []


def test_the_diagram_of_states_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^    (\w+) --> (\w+): ", text, re.MULTILINE)
    moves = itertools.chain.from_iterable(
        ((before.value, after.value) for after in states) for before, states in MOVES.items()
    )
    assert sorted(drawn) == sorted(moves)
    assert re.findall(r"^    \[\*\] --> (\w+)", text, re.MULTILINE) == ["pending"]


def named_paths(page: str) -> set[str]:
    """The files and folders of ours that a page names, `NAME` in capitals left out."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"`((?:app|alembic|bench|clients|docs|examples|tests|\.ci)/[\w./-]*)`", text)
    if page == "README.md":
        tree = text.split("```\napp/\n")[1].split("```")[0]
        for indent, path in re.findall(r"^( *)([\w.]+/?) ", tree, re.MULTILINE):
            found.append(f"app/{path}" if indent else path)
    return {path for path in found if "NAME" not in path}


@pytest.mark.parametrize("page", ["README.md", "docs/design.md", "docs/developing.md"])
def test_what_the_page_says_is_there_is_there(page: str) -> None:
    paths = named_paths(page)
    assert len(paths) > 20
    # As git has it: the CI runs this with `app/admin` taken out.
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    folders = {f"{folder}/" for path in listed for folder in Path(path).parents}
    assert paths - {*listed, *folders} == set()


def test_the_readme_names_every_room() -> None:
    rooms = {
        f"app/{path.name}{'/' if path.is_dir() else ''}"
        for path in (ROOT / "app").iterdir()
        if path.name not in {"__init__.py", "__pycache__"}
    }
    assert rooms <= named_paths("README.md")
