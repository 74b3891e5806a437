"""The words of page and field: complete in each language, and each of them used."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.routers.pages import STATIC
from tests.support.browser.packages import needs_npm, run

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "clients" / "js" / "src"
LANGUAGES = {"ar", "de", "en", "es", "fr", "ja", "pt"}
# Written alike in some of the languages.
ALIKE = {"quoted", "comma", "byte", "units", "size", "does", "pause", "part-of"}
Texts = dict[str, Any]


@pytest.fixture(scope="module")
def words() -> dict[str, Texts]:
    found: dict[str, Texts] = json.loads(run("node", HERE / "words.mjs", at=HERE))
    return found


def forms_of(text: str | dict[str, str]) -> dict[str, str]:
    return text if isinstance(text, dict) else {"other": text}


def values_in(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@needs_npm
def test_each_language_has_each_text_once(words: dict[str, Texts]) -> None:
    assert set(words) == LANGUAGES
    english = words["en"]["names"]
    for tag, found in words.items():
        assert found["names"] == english, tag  # in order, so that they can be laid side by side


@needs_npm
def test_each_text_has_its_values_and_the_plurals_of_its_language(words: dict[str, Texts]) -> None:
    english = words["en"]["texts"]
    for tag, found in words.items():
        for name, text in found["texts"].items():
            forms, wanted = forms_of(text), forms_of(english[name])
            assert values_in(forms["other"]) == values_in(wanted["other"]), (tag, name)
            # One and two have words of their own in some languages, which need no number.
            for form, said in forms.items():
                lacks = values_in(wanted["other"]) - values_in(said)
                assert lacks <= ({"count"} if form in ("zero", "one", "two") else set()), (
                    tag,
                    name,
                )
            has_plurals = isinstance(english[name], dict)
            assert sorted(forms) == (found["forms"] if has_plurals else ["other"]), (tag, name)


@needs_npm
def test_no_text_was_left_in_english(words: dict[str, Texts]) -> None:
    english = words["en"]["texts"]
    for tag, found in words.items():
        same = {name for name, text in found["texts"].items() if text == english[name]}
        assert tag == "en" or same <= ALIKE, tag


@needs_npm
def test_each_text_is_used_and_each_that_is_used_is_there(words: dict[str, Texts]) -> None:
    names = set(words["en"]["texts"])
    scripts = [path for path in SOURCE.rglob("*.js") if path.parent.name != "words"]
    pages = [*STATIC.glob("*.html"), STATIC / "page.js", *(STATIC / "page").iterdir()]
    pages.append(STATIC / "request.js")
    code = "\n".join(path.read_text() for path in [*scripts, *pages])
    asked = r"(?:\bsay\(|data-say(?:-\w+)?=|\btold\(|\bfailed\()\"([\w-]+)\""
    assert set(re.findall(asked, code)) <= names | {"name"}
    used = set(re.findall(r"\"([\w-]+)\"", code))
    used |= {f"{name}-detail" for name in used}
    used |= {f"any-{family}" for family in ("image", "video", "audio", "text")}
    used |= {"units", "comma"}
    assert names - used == set()


@needs_npm
@pytest.mark.parametrize(("name", "most"), [("index.html", 30), ("request.html", 10)])
def test_the_page_has_the_english_words_before_its_script_runs(
    words: dict[str, Texts], name: str, most: int
) -> None:
    page = (STATIC / name).read_text()
    found = re.findall(r"data-say=\"([\w-]+)\"[^>]*>([^<]*)<", page)
    assert len(found) > most
    for name, said in found:
        assert said in (words["en"]["texts"][name], ""), name
    for name, said in re.findall(r"aria-label=\"([^\"]+)\" data-say-label=\"([\w-]+)\"", page):
        assert words["en"]["texts"][said] == name
