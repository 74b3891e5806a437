"""Content types by file name extension, and one spelling for each."""

import mimetypes
from typing import Final

# The table of the library itself, not of the machine: the same answer on every replica.
_TYPES: Final = mimetypes.MimeTypes(filenames=())
_TYPES.add_type("image/webp", ".webp")
_TYPES.add_type("image/avif", ".avif")
_TYPES.add_type("image/heic", ".heic")
OCTET_STREAM: Final = "application/octet-stream"


def guess_content_type(extension: str) -> str:
    """The content type of an extension without its dot; application/octet-stream if unknown."""
    return _TYPES.types_map[True].get(f".{extension}", OCTET_STREAM)


def types_in(*lines: str) -> frozenset[str]:
    """The content types in these lines, separated by spaces."""
    return frozenset(" ".join(lines).split())


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def normalize_content_type(content_type: str) -> str:
    """Type and subtype in lower case, parameters as they were, one space before each."""
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    return "; ".join([kind.lower(), *filter(None, parameters)])
