"""Objections to what was uploaded: reasons, in words, to reject it; None where there is none. Pure.

The rules of a destination hold for its own uploads alone, and not for those of another destination
that had the bucket before.
"""

from collections.abc import Sequence
from typing import Final

from app.core.content_types import guess_content_type, normalize_content_type
from app.core.contents import Verdict, compare, correction, is_markup, is_media
from app.core.destination import Destination
from app.core.formats import ZIP, family_of
from app.core.parts import MIN_PART_SIZE
from app.core.words import in_bytes, two_sizes
from app.models.files import File
from app.store.look import StoredObject
from app.store.objects import StoredPart

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
    if (objection := name_objection(destination, file, detected)) is not None:
        return objection
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


def name_objection(destination: Destination, file: File, detected: str) -> str | None:
    """The type that the first bytes show beside the one that the file's name ends in."""
    extension = file.filename.rpartition(".")[2].lower()
    named = guess_content_type(extension)
    if compare(named, detected) is Verdict.DIFFERS and not (
        destination.mistaken_types == "correct" and correction(named, detected)
    ):
        return f"The contents are {detected}; the name ends in .{extension}."
    return None


def is_archive_by_name(file: File) -> bool:
    """Whether the file's name ends as a zip's does, or that of something made of one."""
    return family_of(guess_content_type(file.filename.rpartition(".")[2].lower())) == ZIP


def asks_for_examination(destination: Destination) -> bool:
    """Whether images are to be measured, or archives to be judged (`app.uploads.examine`)."""
    return destination.max_pixels is not None or destination.archives is not None


def is_examined(destination: Destination, file: File) -> bool:
    """Whether the file's destination asks for it."""
    return asks_for_examination(destination) and destination.name == file.destination
