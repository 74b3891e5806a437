"""Uppy's metadata of files, which are whatever a page puts there."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final, TypedDict

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.core.destination import MAX_DESTINATION
from app.core.integrity import MD5_PATTERN
from app.core.metadata import clean_path, write_metadata
from app.errors import ValidationFailed

_NO_VALUE: Final = {"", "null", "undefined"}
# No object has more bytes than 14 digits say.
_SIZE: Final = re.compile(r"[0-9]{1,15}")
_PATH: Final = "relativePath"
_CHECKSUM: Final = re.compile(MD5_PATTERN)
_UPPYS_OWN: Final = {"name", "type", "size", "destination", "checksum_md5", _PATH}
_IN_QUERY: Final = re.compile(r"metadata\[(.+)\]")


class Said(TypedDict):
    """The members of an Announcement that come from Uppy's metadata alone."""

    path: str | None
    metadata: str | None


def word(said: object) -> str | None:
    # Uppy 6 writes the words of JavaScript where there is no value.
    return None if said is None or str(said) in _NO_VALUE else str(said)


def size_in(said: object) -> int | None:
    """The size in bytes that a page has put into Uppy's metadata, as a number or its digits.

    Pages may mean something else by the word: what is no whole number is no size.
    """
    if isinstance(said, bool) or not isinstance(said, int | str):
        return None
    digits = str(said)
    return int(digits) if _SIZE.fullmatch(digits) else None


def checksum_in(said: object) -> str | None:
    """The MD5 in base64 that a page has put into Uppy's metadata; None for whatever is no MD5."""
    return said if isinstance(said, str) and _CHECKSUM.fullmatch(said) else None


class UppyMetadata(BaseModel):
    """A file's metadata, which are whatever a page puts there: what counts here, and the rest."""

    model_config = ConfigDict(extra="allow")

    destination: Annotated[str | None, Field(max_length=MAX_DESTINATION), BeforeValidator(word)] = (
        None
    )
    size: Annotated[int | None, BeforeValidator(size_in)] = None

    def said(self) -> Said:
        """The rest, as an Announcement has it. Raises ValidationFailed where it is too much."""
        return said_of_file(self.model_extra or {})


def said_of_file(rest: Mapping[str, Any]) -> Said:
    """`path` and `metadata` of an Announcement from the members of Uppy's metadata.

    Those that Uppy sets itself are no metadata, nor is what is no string, number or boolean. Raises
    ValidationFailed.
    """
    kept = {
        name: value
        for name, value in rest.items()
        if name not in _UPPYS_OWN
        and isinstance(value, str | int | float)
        and value not in _NO_VALUE
    }
    path = None
    with suppress(ValueError):
        # That of a file that was dropped in a folder begins with a slash.
        path = clean_path(str(rest.get(_PATH) or "").removeprefix("/"))
    try:
        return {"path": path if path not in _NO_VALUE else None, "metadata": write_metadata(kept)}
    except ValueError as error:
        words = f"{error}. In Uppy, `allowedMetaFields` says what is sent"
        raise ValidationFailed(
            f"metadata: {words}.", errors=[{"loc": ["metadata"], "message": words}]
        ) from None


def metadata_in_query(request: Request) -> dict[str, str]:
    """Uppy's metadata, of which each member is a parameter."""
    named = ((_IN_QUERY.fullmatch(name), said) for name, said in request.query_params.items())
    return {found[1]: said for found, said in named if found}
