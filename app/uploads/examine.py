"""Examine an image or an archive in the bucket by ranged reads, where its destination limits them.

Of the very object that confirm has found; its first bytes are there already. What is read is judged
in a thread: a hostile header takes tens of milliseconds.
"""

import asyncio
from typing import Final, NamedTuple, TypeVar

from app.core.content_types import essence
from app.core.contents import is_media
from app.core.destination import Destination
from app.core.formats import ZIP, family_of, group_of
from app.core.image_headers import Image
from app.core.images import is_raster, measure
from app.core.ranges import Reader, Reading
from app.core.zip_directory import MOST, READ, Archive, judge
from app.models.files import File
from app.store.look import StoredObject
from app.store.objects import ObjectHandle

# Bytes that are read at once of an image, and how often: a JPEG has its size behind its colour
# profile and its previews.
_OF_AN_IMAGE: Final = 131_072
_READS_OF_AN_IMAGE: Final = 8
# The end, the directory where it may begin, and all of it.
_READS_OF_AN_ARCHIVE: Final = 3 + MOST // READ

_T = TypeVar("_T")


class Examined(NamedTuple):
    """None: it is no image, or archive, or the destination does not ask. An image without a size
    could not be measured.
    """

    image: Image | None = None
    archive: Archive | None = None


async def examine(handle: ObjectHandle, file: File, found: StoredObject, detected: str) -> Examined:
    """Measure the image, judge the archive. Raises BucketRefused, BucketUnavailable,
    UploadNotArrived (replaced meanwhile).
    """
    destination = handle.destination
    if destination.name != file.destination:
        return Examined()
    if destination.max_pixels is not None and is_raster(detected):
        reading = measure(found.size)
        image = await _read(handle, found, reading, _READS_OF_AN_IMAGE, _OF_AN_IMAGE)
        return Examined(image=image or Image(0, 0))
    if destination.archives is not None and not is_media(detected):
        return Examined(archive=await _judged(handle, destination, file, found, detected))
    return Examined()


async def _judged(
    handle: ObjectHandle, destination: Destination, file: File, found: StoredObject, detected: str
) -> Archive | None:
    kinds = {detected, essence(file.content_type)}
    if group_of(detected) == "archive" and family_of(detected) != ZIP:
        return Archive()
    surely = any(family_of(kind) == ZIP for kind in kinds)
    assert destination.archives is not None
    reading = judge(found.size, destination.archives.max_entries, surely=surely)
    return await _read(handle, found, reading, _READS_OF_AN_ARCHIVE)


async def _read(
    handle: ObjectHandle,
    found: StoredObject,
    reading: Reading[_T | None],
    most: int,
    at_least: int = 0,
) -> _T | None:
    reader = Reader(reading, found.size, found.start or b"")
    wanted = await asyncio.to_thread(reader.run)
    while wanted is not None:
        offset, length = wanted
        stop = min(offset + max(length, at_least), found.size)
        part = await handle.read(found, slice(offset, stop)) if most else None
        if part is None:
            await asyncio.to_thread(reader.give_up)
            break
        most -= 1
        wanted = await asyncio.to_thread(reader.run, part)
    return reader.found
