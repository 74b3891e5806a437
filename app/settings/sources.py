"""Where settings come from: the environment, then a TOML file, then the default destinations."""

import difflib
import tomllib
from collections.abc import Mapping, Set
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from app.errors import ConfigurationError

PREFIX: Final = "CLAIMCHECK_"
CONFIG: Final = "CLAIMCHECK_CONFIG"

# Settings, as pydantic locates them, that are left out: what else is wrong is found without them.
Paths = Set[tuple[int | str, ...]]

DEFAULT_DESTINATIONS: Final[dict[str, dict[str, Any]]] = {
    "images": {"content_types": ["image/*"], "max_size": 100 * 1024**2},
    "videos": {"content_types": ["video/*"]},
    "files": {},
}


class Environment(EnvSettingsSource):
    """The environment as a parameter, so that tests pass a dict."""

    def __init__(
        self, settings_cls: type[BaseSettings], environ: Mapping[str, str], left_out: Paths
    ) -> None:
        self._environ, self._left_out = environ, left_out
        super().__init__(settings_cls)

    def __call__(self) -> dict[str, Any]:
        return _without(super().__call__(), self._left_out)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Leave what is not JSON as it is: the fields take plain words, or refuse in words."""
        try:
            decoded = super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, (list, dict)) else value


class Below(InitSettingsSource):
    """The TOML file, and the default destinations."""

    def __init__(
        self, settings_cls: type[BaseSettings], environ: Mapping[str, str], left_out: Paths
    ) -> None:
        self._left_out = left_out
        super().__init__(settings_cls, init_kwargs=_below_environment(environ))

    def __call__(self) -> dict[str, Any]:
        return _without(super().__call__(), self._left_out)


def _without(data: dict[str, Any], paths: Paths) -> dict[str, Any]:
    kept = deepcopy(data)
    for path in paths:
        table: Any = kept
        *tables, last = path
        for part in tables:
            inner = table.get(part)
            if not isinstance(inner, dict):
                last = part  # the path goes on into a list: all of it goes
                break
            table = inner
        table.pop(last, None)
    return kept


def _below_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The TOML file's settings, with the default destinations where no others are declared.

    `CLAIMCHECK_DESTINATIONS__IMAGES__MAX_SIZE` alone must not open `images` to any type, nor may
    a misspelt name open a new destination to anything.
    """
    toml = _read_toml(environ.get(CONFIG))
    start = f"{PREFIX}DESTINATIONS"
    given = [name.upper() for name, value in environ.items() if value]
    named = {name.split("__")[1].lower() for name in given if name.startswith(f"{start}__")}
    declared = toml.get("destinations", DEFAULT_DESTINATIONS)
    for name in sorted(named.difference(declared)) if isinstance(declared, dict) else ():
        near = difflib.get_close_matches(name, declared, n=1, cutoff=0.8)
        if near:
            raise ConfigurationError(
                f"{start}__{name.upper()}: there is no destination {name}. Did you mean "
                f"{near[0]}? If not, declare it in the TOML file."
            )
    if "destinations" not in toml and start not in given and named <= set(DEFAULT_DESTINATIONS):
        toml["destinations"] = DEFAULT_DESTINATIONS
    return toml


def _read_toml(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{CONFIG}: cannot read {path!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{CONFIG}: {path!r} is not TOML: {error}") from None
