"""Objections to what was uploaded: reasons, in words, to reject it; None where there is none. Pure.

The rules of a destination hold for its own uploads alone, and not for those of another destination
that had the bucket before.
"""

from collections.abc import Sequence
from typing import Final

from app.core.content_types import guess_content_type, normalize_content_type
from app.core.contents import Verdict, compare, correction, is_markup, is_media
from app.core.destination import Destination
from app.core.image_headers import Image
from app.core.parts import MIN_PART_SIZE
from app.core.words import in_bytes, two_sizes
from app.core.zip_directory import Archive
from app.models.files import File
from app.store.look import StoredObject
from app.store.objects import StoredPart

# Archives that unpack to no more are never refused for their ratio: an office file of a few KiB may
# unpack to a hundred times as much, and harms nobody.
_SMALL: Final = 16 * 1024**2
# Values of Cache-Control that may stand on an object without having been signed. They keep nothing
# in a cache that should not be there, and no client has chosen them: Google Cloud Storage answers
# so for private objects that are stored with none, and browsers add them to every request while
# their cache is switched off, in the developer tools for example.
_HARMLESS: Final = frozenset({"private, max-age=0", "no-cache", "no-store", "max-age=0"})


def object_objection(
    destination: Destination, file: File, found: StoredObject, left: int | None
) -> str | None:
    """The object that was found beside its announcement; `left` as in `size_objection`."""
    if not found.is_of(file.id):
        return "The object at this key was not uploaded with the signed instructions."
    if file.size is not None and found.size != file.size:
        there, announced = two_sizes(found.size, file.size)
        return f"The object has {there}; {announced} were announced."
    if normalize_content_type(found.content_type) != normalize_content_type(file.content_type):
        return f"The object is {found.content_type}; {file.content_type} was announced."
    if file.checksum_sha256 and found.checksum_sha256 not in {None, file.checksum_sha256}:
        return "The object's SHA-256 is not the one that was announced."
    # A PUT may carry what nobody signed, and every link would serve it. What is absent is fine:
    # some stores (Ceph RGW 16) keep no headers of a form.
    wanted = destination.object_headers(file.method)
    for name, value in found.serving.items():
        harmless = name == "cache-control" and value in _HARMLESS
        if value != wanted.get(name) and not harmless:
            return f"The object is stored with a {name} that was not signed."
    return size_objection(destination, file, found.size, left)


def size_objection(destination: Destination, file: File, size: int, left: int | None) -> str | None:
    """The size in bytes of an upload that was announced without one.

    `left` is how many bytes its upload session has left, None without a session.
    """
    if file.size is not None:
        return None
    objection = destination.size_objection(size) if destination.name == file.destination else None
    if objection is not None:
        return f"The object is not of an allowed size: {objection}."
    return None if left is None or size <= left else too_few_bytes(size)


def too_few_bytes(size: int) -> str:
    return f"The upload session has too few bytes left for the object's {in_bytes(size)}."


def too_small_parts(parts: Sequence[StoredPart]) -> str:
    """Parts that the bucket refused to join, in order."""
    least = MIN_PART_SIZE
    small = next((part for part in parts[:-1] if part.size < least), None)
    which = f": part {small.part_number} has {in_bytes(small.size)}" if small else ""
    return (
        f"The bucket joins parts of at least {in_bytes(least)}, but for the last one{which}. "
        "Announce the file anew, and send larger parts."
    )


def true_type(destination: Destination, file: File, detected: str) -> str | None:
    """The type to correct `content_type` to, where that is harmlessly mistaken, or None."""
    if destination.name != file.destination or destination.mistaken_types != "correct":
        return None
    names = correction(file.content_type, detected)
    return next((name for name in names if destination.takes_type(name)), None)


def contents_objection(destination: Destination, file: File, detected: str) -> str | None:
    """The type that the first bytes show beside the announced one, once that is corrected, and
    beside the one that the file's name ends in.
    """
    verdict = compare(file.content_type, detected)
    if verdict is Verdict.DIFFERS:
        return f"The contents are {detected}; {file.content_type} was announced."
    if destination.name != file.destination:
        return None
    extension = file.filename.rpartition(".")[2].lower()
    named = guess_content_type(extension)
    if compare(named, detected) is Verdict.DIFFERS and not (
        destination.mistaken_types == "correct" and correction(named, detected)
    ):
        return f"The contents are {detected}; the name ends in .{extension}."
    if verdict is Verdict.UNKNOWN and destination.unknown_contents == "reject":
        return (
            f"Nothing shows that the contents, {detected}, are {file.content_type}, and "
            f"destination {destination.name} takes no such files."
        )
    # A page may be text, or a table for Excel, by another name; it is no picture, sound or film.
    if is_markup(detected) and is_media(file.content_type) and not destination.takes_type(detected):
        return (
            f"The contents are {detected}, which destination {destination.name} does not take; "
            f"{file.content_type} was announced."
        )
    return None


def image_objection(destination: Destination, image: Image | None) -> str | None:
    """An image that was measured, beside what its destination takes; None: it is none."""
    if image is None or destination.max_pixels is None:
        return None
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


def archive_objection(destination: Destination, archive: Archive | None, size: int) -> str | None:
    """An archive of `size` bytes, as its directory was judged; None: it is none."""
    limits = destination.archives
    if archive is None or limits is None:
        return None
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
