"""What an upload really is: its first bytes beside its announcement and the rules."""

from app.core.content_types import OCTET_STREAM, essence
from app.core.contents import HEAD_BYTES, Verdict, compare, detect, is_markup
from app.core.destination import Destination
from app.errors import UploadNotArrived
from app.models.files import File
from app.store.objects import ObjectHandle, StoredObject


async def inspect(file: File, kept: ObjectHandle, found: StoredObject) -> tuple[str, str | None]:
    """The type that the contents of `found` are, and what is wrong with it in words, or None.

    Reads the first bytes of the very object that `found` describes. Raises UploadNotArrived if it
    is not there any more, BucketRefused, BucketUnavailable.
    """
    head = b""
    if found.size:
        read = await kept.read_start(found, HEAD_BYTES)
        if read is None:
            raise UploadNotArrived(
                "The object was replaced while it was looked at; confirm again.", retry_after=1
            )
        head = read
    detected = detect(head)
    return detected, _objection(kept.destination, file, detected)


def _objection(destination: Destination, file: File, detected: str) -> str | None:
    announced = essence(file.content_type)
    verdict = compare(announced, detected)
    if verdict is Verdict.DIFFERS:
        return f"The contents are {detected}; {file.content_type} was announced."
    # Never by the rules of some other destination.
    if destination.name != file.destination:
        return None
    if verdict is Verdict.UNKNOWN and destination.unknown_contents == "reject":
        return (
            f"Nothing shows that the contents, {detected}, are {file.content_type}, and "
            f"destination {destination.name} takes no such files."
        )
    if is_markup(detected) and announced != OCTET_STREAM and not destination.takes_type(detected):
        return (
            f"The contents are {detected}, which destination {destination.name} does not take; "
            f"{file.content_type} was announced."
        )
    return None
