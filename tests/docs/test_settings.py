"""docs/settings.md has every setting, and no other, with its default."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel

from app.core.destination import Archives, Destination
from app.core.jwt_settings import JwtSettings
from app.core.record_field import RecordField
from app.settings.model import EventSettings, Settings, load_settings
from app.settings.quotas import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
# Tables of their own, and what is filled in from elsewhere.
ELSEWHERE = {"destinations", "records", "jwt", "events", "quota", "name"}
TABLES: dict[str, type[BaseModel]] = {
    "jwt": JwtSettings,
    "events": EventSettings,
    "quota__owner": Limits,
    "quota__tenant": Limits,
}
# Read before there are settings: the file's own path.
NOT_IN_THE_MODEL = {"CLAIMCHECK_CONFIG"}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Of the tables under a heading of the second level: default and meaning, by setting."""
    section = re.split(r"^## ", PAGE.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    assert len(found) == len([n for n in section.splitlines() if n.startswith("| `")])
    names = [name for name, *_ in found]
    assert len(set(names)) == len(names)
    return {name: (default, meaning) for name, default, meaning in found}


def names_of(model: type[BaseModel], prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Under which names a field is set, by field: the first is the one to use."""
    found = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        given = alias.choices if isinstance(alias, AliasChoices) else [alias]
        own = f"{prefix}{name.upper()}" if prefix else name
        found[name] = tuple(str(each) for each in given) if alias else (own,)
    return {name: names for name, names in found.items() if name not in ELSEWHERE}


def written(default: Any) -> str | None:
    """A default as the page has it; None: in words."""
    if default is None or default == () or default == {} or default == "":
        return None
    return str(default).lower() if isinstance(default, bool) else str(default)


def compare(
    model: type[BaseModel], page: dict[str, tuple[str, str]], names: dict[str, tuple[str, ...]]
) -> set[str]:
    """Hold the rows against the model; the names of those that take a global setting's value."""
    globals_of = set()
    for field, (name, *others) in names.items():
        default, meaning = page[name]
        shown = re.match(r"`([^`]+)`", default)
        if shown is not None and shown[1].startswith("AWS_"):
            globals_of.add(name)
        elif model.model_fields[field].is_required():
            assert default == "required", name
        else:
            wanted = written(model.model_fields[field].get_default(call_default_factory=True))
            assert (None if shown is None else shown[1]) == wanted, name
        for other in others:
            assert f"`{other}`" in meaning, name
    return globals_of


def test_the_settings_of_the_service() -> None:
    page = {}
    for heading in ("Database and process", "Bucket", "Who may ask, and how often"):
        page |= rows(heading)
    names = names_of(Settings, "CLAIMCHECK_") | {
        f"{table}.{name}": found
        for table, model in TABLES.items()
        for name, found in names_of(model, f"CLAIMCHECK_{table.upper()}__").items()
    }
    known = {first for first, *_ in names.values()}
    assert known - page.keys() == set()
    assert page.keys() - known <= NOT_IN_THE_MODEL
    assert compare(Settings, page, names_of(Settings, "CLAIMCHECK_")) == set()
    for table, model in TABLES.items():
        own = names_of(model, f"CLAIMCHECK_{table.upper()}__")
        assert compare(model, page, own) == set()


def test_the_settings_of_destinations_and_fields() -> None:
    tables = {"Destinations": Destination, "Archives": Archives, "Records": RecordField}
    for heading, model in tables.items():
        page, names = rows(heading), names_of(model)
        assert {first for first, *_ in names.values()} == page.keys()
        taken = compare(model, page, names)
        assert taken == ({name for name, _ in TAKEN} if model is Destination else set())


TAKEN = (
    ("bucket", "other-bucket"),
    ("region", "eu-central-1"),
    ("endpoint_url", "https://s3.example.com"),
    ("public_endpoint_url", "https://public.example.com"),
    ("addressing_style", "path"),
    ("upload_expires_in", "7"),
    ("link_expires_in", "7"),
)


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_a_destination_takes_the_global_setting_that_the_page_names(name: str, value: str) -> None:
    [setting] = re.findall(r"`(\w+)`", rows("Destinations")[name][0])
    found = getattr(load_settings({setting: value}).destinations["files"], name)
    assert found == (int(value) * 60 if value.isdecimal() else value)


def test_the_destinations_of_the_page_are_settings(tmp_path: Path) -> None:
    [toml] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "claimcheck.toml"
    path.write_text(toml, encoding="utf-8")
    settings = load_settings({"CLAIMCHECK_CONFIG": str(path)})
    assert settings.destinations.keys() == tomllib.loads(toml)["destinations"].keys()
    assert settings.destinations["contracts"].prefix == "private/contracts/"


def test_the_destinations_where_none_is_declared() -> None:
    found = load_settings({}).destinations
    for name, types, size in (
        ("images", ("image/*",), 100 * 1024**2),
        ("videos", ("video/*",), 5 * 1024**3),
        ("files", (), 5 * 1024**3),
    ):
        assert (found[name].content_types, found[name].max_size) == (types, size)
    assert "`images` (`image/*`, 100 MiB), `videos` (`video/*`) and `files` (anything)" in PAGE
