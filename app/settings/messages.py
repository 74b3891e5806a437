"""Messages about wrong settings, each by the name under which the reader wrote it."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from app.core.destination import Destination
from app.core.jwt_settings import NO_KEYS, JwtSettings
from app.core.record_field import RecordField
from app.settings.quotas import QuotaSettings
from app.settings.sources import CONFIG, PREFIX
from app.settings.wrong_values import wrong_value

Fields = Mapping[str, FieldInfo]

_TABLES: Final[dict[str, type[BaseModel]]] = {
    "destinations": Destination,
    "records": RecordField,
    "jwt": JwtSettings,
    "quota": QuotaSettings,
}
_IN_TABLES: Final = tuple(f"{PREFIX}{table.upper()}__" for table in _TABLES)
# Read by AWS libraries themselves (one a service); near enough to be taken for misspellings.
_AWS_OWN: Final = "AWS_ENDPOINT_URL"
# How like one of our names an unknown AWS_ name is taken for it. AWS_BUCKET_NAME must be, at 0.79;
# of the names that AWS tools read themselves AWS_SESSION_EXPIRATION comes nearest, at 0.77.
_NEAR: Final = 0.78
# A typing error. Below it the name that the documents teach is meant, not one of its other names.
_TYPO: Final = 0.9

# Of clients of the service, `claimcheck listen` among them: both may run in one environment.
_CLIENTS: Final = frozenset({f"{PREFIX}URL", f"{PREFIX}KEY"})


def misspelt(fields: Fields, environ: Mapping[str, str]) -> Iterator[tuple[str, str | None, str]]:
    """Each name in the environment that only looks like a setting's, what it may have been meant
    for, and a line about it.
    """
    taught = {CONFIG: CONFIG}  # each name by which a setting goes -> the one that documents teach
    for name, field in fields.items():
        names = _names(name, field)
        taught |= dict.fromkeys(names, names[0])
    for given in environ:
        name = given.upper()
        if name in taught or name in _CLIENTS or name.startswith((_AWS_OWN, *_IN_TABLES)):
            continue
        near = difflib.get_close_matches(name, taught, n=1, cutoff=_NEAR)
        if name.startswith((PREFIX, "BUCKETEER_")) or (near and name.startswith("AWS_")):
            guess = _guess(name, taught)
            hint = f" Did you mean {guess}?" if guess else ""
            yield given, guess, f"{given} is not a setting.{hint}"


def _names(name: str, field: FieldInfo) -> list[str]:
    """All names of a setting in the environment; the first is the one that the documents teach."""
    alias = field.validation_alias
    if alias is None:
        return [PREFIX + name.upper()]
    return [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _guess(name: str, taught: Mapping[str, str]) -> str | None:
    """The name that an unknown one may have been meant for; None: there is none like it."""
    plain = name.removeprefix(PREFIX)
    if plain in taught:  # CLAIMCHECK_PORT
        return plain
    for table in _TABLES:
        # One underscore for two, or the singular: CLAIMCHECK_DESTINATION__IMAGES__BUCKET.
        for start in (f"{table.upper()}_", f"{table.upper().removesuffix('S')}_"):
            if plain.startswith(start) and plain != start:
                return f"{PREFIX}{table.upper()}__{plain.removeprefix(start).lstrip('_')}"
    near = difflib.get_close_matches(name, taught, n=1, cutoff=0.6)
    if not near:
        return None
    likeness = difflib.SequenceMatcher(None, name, near[0]).ratio()
    others = likeness >= _TYPO or near[0].startswith("BUCKETEER_")
    return near[0] if others else taught[near[0]]


class Fault(NamedTuple):
    """A wrong setting: its line, its names, and the path at which it can be left out."""

    line: str
    names: tuple[str, ...]
    path: tuple[int | str, ...]
    is_absence: bool


class Faults:
    """The lines about all settings that are wrong, and their names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: set[str] = set()

    def add(self, line: str, *names: str | None) -> None:
        """Add a line about the settings of these names, under all that are told of them."""
        if line not in self.lines:
            self.lines.append(line)
        self._names.update(name for name in names if name)

    def add_name(self, name: str) -> None:
        self._names.add(name)

    def add_unless_explained(self, line: str) -> None:
        """Add a line, unless it names a setting that is wrong already: it may follow from that."""
        if not any(name in line for name in self._names):
            self.add(line)


def in_words(error: ValidationError, fields: Fields, environ: Mapping[str, str]) -> Iterator[Fault]:
    """The wrong settings. No line has a setting's value: it may be a secret."""
    for item in error.errors(include_url=False):
        loc, kind = item["loc"], item["type"]
        name = _as_written(".".join(str(part) for part in loc), fields, environ)
        if kind == "extra_forbidden":
            table = _TABLES.get(str(loc[0]))
            # The environment's name of it in the file: CLAIMCHECK_AUTH for auth.
            plain = str(loc[-1]).lower().removeprefix(PREFIX.lower())
            near = difflib.get_close_matches(
                plain, fields if table is None else table.model_fields, n=1
            )
            line = f"{name} is not a setting.{f' Did you mean {near[0]}?' if near else ''}"
        else:
            line = f"{name}: {wrong_value(item, _setting(loc))}"
        # `loc` has the first of a setting's names, which later lines may speak of.
        names = (name, str(loc[0])) if len(loc) == 1 else (name,)
        if loc[0] == "destinations" and len(loc) == 2:
            names = (name, f"destination {loc[1]!r}")
        absent = kind == "missing"
        is_absence = absent or kind == NO_KEYS or loc == ("destinations",)
        yield Fault(line, names, loc[:-1] if absent else loc, is_absence)


def _setting(loc: tuple[Any, ...]) -> str:
    """The name of the setting that pydantic calls `loc`, without the number of an item in it."""
    return next((part for part in reversed(loc) if isinstance(part, str)), "").lower()


def _as_written(path: str, fields: Fields, environ: Mapping[str, str]) -> str:
    """The name under which the reader set what pydantic calls `path`."""
    head, *inner = path.split(".")
    for name, field in fields.items():
        alias = field.validation_alias
        if name == head and alias is None and name not in {"destinations", "records"}:
            parts = [name, *(part for part in inner if not part.isdigit())]
            return PREFIX + "__".join(parts).upper()
        if isinstance(alias, AliasChoices) and path in alias.choices:
            return next((str(c) for c in alias.choices if environ.get(str(c))), path)
    return path
