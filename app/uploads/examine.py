"""Examine an image or an archive in the bucket by ranged reads, where its destination limits them.

Of the very object that confirm has found; its first bytes are there already. What is read is judged
in a thread: a hostile header takes tens of milliseconds.
"""

import asyncio
from typing import Final, TypeVar

from app.core.content_types import essence
from app.core.contents import is_media
from app.core.destination import Destination
from app.core.formats import ZIP, family_of, group_of
from app.core.image_headers import Image
from app.core.images import is_raster, measure
from app.core.ranges import Reader, Reading
from app.core.words import two_sizes
from app.core.zip_directory import MOST, READ, Archive, judge
from app.models.files import File
from app.store.look import StoredObject
from app.store.objects import ObjectHandle
from app.uploads.objections import is_archive_by_name

# Bytes that are read at once of an image, and how often: a JPEG has its size behind its colour
# profile and its previews.
_OF_AN_IMAGE: Final = 131_072
_READS_OF_AN_IMAGE: Final = 8
# The end, the directory where it may begin, and all of it.
_READS_OF_AN_ARCHIVE: Final = 3 + MOST // READ
# Archives that unpack to no more are never refused for their ratio: an office file of a few KiB may
# unpack to a hundred times as much, and harms nobody.
_SMALL: Final = 16 * 1024**2

_T = TypeVar("_T")


async def examine(handle: ObjectHandle, file: File, found: StoredObject) -> tuple[File, str | None]:
    """The row with what is found in its image or archive, and what speaks against that.

    Raises BucketRefused, BucketUnavailable, UploadNotArrived (replaced meanwhile).
    """
    destination, detected = handle.destination, file.detected_type or ""
    if is_raster(detected):
        if destination.max_pixels is None:
            return file, None
        reading = measure(found.size)
        measured = await _read(handle, found, reading, _READS_OF_AN_IMAGE, _OF_AN_IMAGE)
        image = measured or Image(0, 0)
        return file._replace(image=image.as_json()), image_objection(destination, image)
    if destination.archives is None or is_media(detected):
        return file, None
    archive = await _judged(handle, file, found, destination.archives.max_entries)
    if archive is None:
        return file, None
    objection = archive_objection(destination, archive, found.size)
    return file._replace(archive=archive.as_json()), objection


async def _judged(
    handle: ObjectHandle, file: File, found: StoredObject, most_entries: int
) -> Archive | None:
    """None: it is no archive. One that is not zip is not judged."""
    detected = file.detected_type or ""
    if group_of(detected) == "archive" and family_of(detected) != ZIP:
        return Archive()
    # By its name too: programs that open it by that find a directory behind which something stands.
    announced = family_of(essence(file.content_type))
    surely = ZIP in {family_of(detected), announced} or is_archive_by_name(file)
    return await _read(
        handle, found, judge(found.size, most_entries, surely=surely), _READS_OF_AN_ARCHIVE
    )


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


def image_objection(destination: Destination, image: Image) -> str | None:
    """An image that was measured, beside what its destination takes."""
    assert destination.max_pixels is not None
    if image.pixels > destination.max_pixels:
        return (
            f"The image has {image.width:,} x {image.height:,} pixels; destination "
            f"{destination.name} takes at most {destination.max_pixels:,}."
        )
    if not image.pixels and destination.unknown_contents == "reject":
        return (
            "The size of the image cannot be read from its header, and destination "
            f"{destination.name} takes no such files."
        )
    return None


def archive_objection(destination: Destination, archive: Archive, size: int) -> str | None:
    """An archive of `size` bytes, as its directory was judged."""
    limits = destination.archives
    assert limits is not None
    takes = f"destination {destination.name} takes at most"
    if (archive.entries or 0) > limits.max_entries:
        return f"The archive has too many entries; {takes} {limits.max_entries:,}."
    if not archive.judged:
        return (
            "The archive cannot be judged by its directory, and destination "
            f"{destination.name} takes no such files."
            if destination.unknown_contents == "reject"
            else None
        )
    if archive.unpacked > limits.max_unpacked:
        unpacked, most = two_sizes(archive.unpacked, limits.max_unpacked)
        return f"The archive unpacks to {unpacked}; {takes} {most}."
    if archive.unpacked > max(_SMALL, size * limits.max_ratio):
        return (
            f"The archive unpacks to {archive.unpacked // size:,} times its size; {takes} "
            f"{limits.max_ratio:,} times."
        )
    if archive.leaves:
        return "The archive has a path that leads out of the folder it is unpacked into."
    if archive.symlinks and limits.symlinks == "reject":
        return f"The archive has symbolic links, and destination {destination.name} takes none."
    if archive.encrypted and limits.encrypted == "reject":
        return f"The archive is encrypted, and destination {destination.name} takes none that is."
    return None
