"""Whether the bucket holds the bytes whose MD5s were announced (`integrity` of a destination).

Every request to the bucket is signed with its MD5, but for forms, which no store holds to one.
Where a store's ETag is an MD5, too, it is compared: one that is equal proves itself, one that is
not says something only where the doctor has proved that ETags are MD5s there.
"""

from collections.abc import Sequence
from typing import NamedTuple

from app.core.integrity import bare, from_base64, is_etag_of, joined_etag, to_base64
from app.db import part_digests
from app.files.seals import proven_of
from app.models.files import File
from app.models.seals import CONTENT_MD5, MD5_ETAGS
from app.runtime.resources import Resources
from app.store.look import StoredObject
from app.store.objects import StoredPart
from app.turns import Turn


class Compared(NamedTuple):
    """The outcome: whether the bytes are sure to be those that were announced, or why they are not.

    Neither, where nothing is known.
    """

    verified: bool
    objection: str | None = None


async def compare(res: Resources, file: File, found: StoredObject) -> Compared:
    """Compare the object of an upload that has `integrity` with what was announced."""
    expected = await _expected_etag(res, file)
    if expected is not None and bare(found.etag) == expected:
        return Compared(verified=True)
    proven = await proven_of(res, file)
    if expected is not None and MD5_ETAGS in proven:
        return Compared(
            verified=False,
            objection="The bucket holds other bytes than were announced: their MD5s differ. Send "
            "the file again.",
        )
    return Compared(verified=file.method != "post" and CONTENT_MD5 in proven)


async def _expected_etag(res: Resources, file: File) -> str | None:
    """The ETag without quotes, where it is an MD5; None where not all digests are known."""
    if file.checksum_md5 is not None:
        return from_base64(file.checksum_md5).hex()
    async with res.db.connection() as db:
        digests = await part_digests.digests_of(db, file)
    count = file.part_count if file.layout is None else file.layout.count
    numbers = range(1, (count or 0) + 1)
    if not numbers or not digests.keys() >= set(numbers):
        return None
    return joined_etag([digests[number] for number in numbers])


async def other_parts(res: Resources, file: File, arrived: Sequence[StoredPart]) -> list[int]:
    """The numbers of parts of which the bucket has other bytes than were announced, in order.

    None, where its ETags are not known to be MD5s; one that is shows it of the others.
    """
    _, same = await _compare_parts(res, file, arrived)
    others = [part.part_number for part in arrived if part.part_number not in same]
    if not others or same or MD5_ETAGS in await proven_of(res, file):
        return others
    return []


async def vouched_for(res: Resources, file: File, arrived: Sequence[StoredPart]) -> dict[int, str]:
    """The MD5s in base64 of those parts of a pending upload whose bytes are known to have them."""
    digests, same = await _compare_parts(res, file, arrived)
    if not same:
        proven = await proven_of(res, file)
        if MD5_ETAGS not in proven and CONTENT_MD5 in proven:
            # A part is announced with one MD5 alone, and the store took no other bytes.
            same = {part.part_number for part in arrived} & digests.keys()
    return {number: to_base64(digests[number]) for number in same}


async def _compare_parts(
    res: Resources, file: File, arrived: Sequence[StoredPart]
) -> tuple[dict[int, bytes], set[int]]:
    """The MD5s that were announced, by part, and the parts whose ETag is theirs."""
    async with res.db.connection() as db:
        digests = await part_digests.digests_of(db, file)
    same, turn = set(), Turn()
    for part in arrived:
        if is_etag_of(part.etag, digests.get(part.part_number, b"")):
            same.add(part.part_number)
        await turn.over()
    return digests, same
