"""Members of several requests' bodies: metadata, paths and checksums of files."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from app.core.integrity import MD5_LENGTH, MD5_PATTERN
from app.core.metadata import MAX_BYTES, MAX_ENTRIES, MAX_KEY, MAX_PATH, clean_path, write_metadata

MetadataName = Annotated[str, Field(max_length=MAX_KEY)]
MetadataValue = (
    Annotated[StrictStr, Field(max_length=MAX_BYTES)] | StrictBool | StrictInt | StrictFloat
)

METADATA_RULES: Final = (
    f"up to {MAX_ENTRIES} names of up to {MAX_KEY} characters, each with a string, a number or a "
    f"boolean, {MAX_BYTES:,} bytes of JSON in all"
)

# Validated, it is JSON again, which is how it is stored.
GivenMetadata = Annotated[
    Annotated[dict[MetadataName, MetadataValue], Field(max_length=MAX_ENTRIES)],
    AfterValidator(write_metadata),
    Field(
        description=f"Your own: {METADATA_RULES}",
        examples=[{"album": "spring", "page": 3}],
    ),
]
GivenPath = Annotated[
    str,
    AfterValidator(clean_path),
    Field(
        description="Where it lay in the folder that is uploaded: relative, with `/`, its own name "
        "at the end",
        examples=["Spring/harbour/Holiday.png"],
        max_length=MAX_PATH,
    ),
]

ChecksumMd5 = Annotated[str, Field(max_length=MD5_LENGTH, pattern=MD5_PATTERN)]
