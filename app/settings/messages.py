"""Messages about wrong settings, each by the name under which the reader wrote it."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from app.core.destination import Destination
from app.core.jwt_settings import JwtSettings
from app.core.record_field import RecordField
from app.errors import ConfigurationError
from app.settings.sources import CONFIG, PREFIX

Fields = Mapping[str, FieldInfo]

_TABLES: Final[dict[str, type[BaseModel]]] = {
    "destinations": Destination,
    "records": RecordField,
    "jwt": JwtSettings,
}
_IN_TABLES: Final = tuple(f"{PREFIX}{table.upper()}__" for table in _TABLES)
# Read by AWS libraries themselves (one a service); near enough to be taken for misspellings.
_AWS_OWN: Final = "AWS_ENDPOINT_URL"
# How like one of our names an unknown AWS_ name is taken for it. AWS_BUCKET_NAME must be, at 0.79;
# of the names that AWS tools read themselves AWS_SESSION_EXPIRATION comes nearest, at 0.77.
_NEAR: Final = 0.78


def refuse_misspelt(fields: Fields, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a name in the environment that only looks like a setting's."""
    known = {CONFIG}
    for name, field in fields.items():
        alias = field.validation_alias
        if alias is None:
            known.add(PREFIX + name.upper())
        else:
            known |= set(alias.choices) if isinstance(alias, AliasChoices) else {str(alias)}  # type: ignore[arg-type]
    for given in environ:
        name = given.upper()
        if name in known or name.startswith((_AWS_OWN, *_IN_TABLES)):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
        if name.startswith((PREFIX, "BUCKETEER_")) or (near and name.startswith("AWS_")):
            guess = near or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f" Did you mean {guess[0]}?" if guess else ""
            raise ConfigurationError(f"{given} is not a setting.{hint}")


def in_words(error: ValidationError, fields: Fields, environ: Mapping[str, str]) -> str:
    """One line a setting: its name, what is wrong with it. Never its value: it may be a secret."""
    return "\n".join(_lines(error, fields, environ))


def _lines(error: ValidationError, fields: Fields, environ: Mapping[str, str]) -> Iterator[str]:
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        known = _as_written(path, fields, environ)
        if item["type"] == "extra_forbidden":
            table = _TABLES.get(str(item["loc"][0]))
            names = fields if table is None else table.model_fields
            near = difflib.get_close_matches(str(item["loc"][-1]), names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            yield f"{known} is not a setting.{hint}"
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield f"{known}: {message}" if known else message


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
