"""How a file's page shows what is in it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.core.content_types import essence
from app.core.formats import is_textual
from app.core.parts import MIB
from app.files.links import Link, pdf_link, read_link
from app.models.files import File
from app.runtime.resources import Resources

# Types that browsers show as an image, with no script in it, and decode fast enough for a list.
_RASTER: Final = frozenset(
    {"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/avif", "image/bmp"}
)
# A larger one is shown only to who asks for it: it is the file itself that is read.
_LARGEST_PICTURE: Final = 5 * MIB
# A field shows what it holds, where somebody has just sent it.
_LARGEST_IN_FIELD: Final = 30 * MIB
# Thumbnails are the files themselves, and a list may show fifty.
_LARGEST_THUMBNAIL: Final = 2 * MIB
# Of a text its beginning is read, in bytes.
TEXT_BYTES: Final = 64 * 1024


class Preview(StrEnum):
    """Ways in which a page shows a file."""

    IMAGE = "image"
    PDF = "pdf"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"


# What each reads from the store by, as `app.admin.guard.policy` names it.
READ_BY: Final[Mapping[Preview, str]] = {
    Preview.IMAGE: "img",
    Preview.PDF: "frame",
    Preview.AUDIO: "media",
    Preview.VIDEO: "media",
    Preview.TEXT: "connect",
}


def _kinds(file: File) -> set[str]:
    """The types that the file is said and was found to have."""
    return {essence(file.content_type), essence(file.detected_type or file.content_type)}


def preview_of(file: File) -> Preview | None:
    """How the file's page can show it, None where it cannot: its type and its contents agree."""
    kinds = _kinds(file)
    if kinds <= _RASTER:
        return Preview.IMAGE
    # By its contents, not by its name alone.
    if kinds == {"application/pdf", file.detected_type}:
        return Preview.PDF
    families = {kind.partition("/")[0] for kind in kinds}
    if families <= {"audio", "video"}:
        return Preview.AUDIO if "audio" in families else Preview.VIDEO
    # Markup, too: it is shown as the text that it is.
    return Preview.TEXT if all(map(is_textual, kinds)) else None


def is_on_request(file: File) -> bool:
    """Whether the page shows the file only to who asks for it: large images, and PDFs, which the
    browser's viewer reads whole.
    """
    is_large = (file.size or 0) > _LARGEST_PICTURE
    preview = preview_of(file)
    return preview is Preview.PDF or (preview is Preview.IMAGE and is_large)


def is_picture(file: File) -> bool:
    """Whether a record's field shows the file as an image."""
    return preview_of(file) is Preview.IMAGE and (file.size or 0) <= _LARGEST_IN_FIELD


async def preview_link(res: Resources, file: File, link: Link) -> Link:
    """The link that the page shows the file by; `link` is the one to open it with."""
    preview = preview_of(file)
    if preview is Preview.PDF:
        return await pdf_link(res, file)
    if preview is Preview.TEXT:
        return await read_link(res, file, for_scripts=True)
    return link


def is_thumbnail(file: File) -> bool:
    """Whether a list shows the file as an image, rather than its extension."""
    return _kinds(file) <= _RASTER and (file.size or 0) <= _LARGEST_THUMBNAIL
