"""Whether a store holds what is sent to its signed MD5, where destinations want that."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from app.core.integrity import bare, is_etag_of, joined_etag, to_base64
from app.doctor.examination import CONTENT, OTHER_CONTENT, SIGNED_FOR, Examination
from app.errors import Problem
from app.store.look import StoredObject

_DIGEST = hashlib.md5(CONTENT, usedforsecurity=False).digest()
_MD5 = {"content-md5": to_base64(_DIGEST)}


class _Tried(NamedTuple):
    """The outcome for one way of sending: whether what was sent as it was signed was stored, and
    with an ETag that is an MD5; and what else was let in.
    """

    stored: bool
    has_md5_etag: bool
    let_in: list[str]


async def check_integrity(examination: Examination) -> None:
    """Send a PUT and a part with other bytes than their MD5, without it, and as they were signed;
    see whether the ETags of the stored ones are MD5s.
    """
    if examination.destination.integrity == "off":
        return
    tries = []
    # Where a way of sending does not work at all, the check of that says why.
    with suppress(Problem):
        tries.append(await _try_put(examination))
    with suppress(Problem):
        tries.append(await _try_part(examination))
    tries = [tried for tried in tries if tried.stored]
    if not tries:
        return
    let_in = [what for tried in tries for what in tried.let_in]
    examination.abilities.content_md5 = not let_in
    examination.abilities.md5_etags = all(tried.has_md5_etag for tried in tries)
    _report(examination, let_in)


async def _try_put(examination: Examination) -> _Tried:
    key = examination.new_key()
    headers = examination.headers("put") | {"content-length": str(len(CONTENT))} | _MD5
    signed = await examination.signer.presign(
        "PUT", examination.destination.address, key, expires_in=SIGNED_FOR, headers=headers
    )
    del headers["content-length"]
    let_in = await _let_in(examination, "PUT", signed.url, headers)
    sent = await examination.browser.send("PUT", signed.url, headers, CONTENT)
    found = await examination.look(key)
    is_md5 = isinstance(found, StoredObject) and is_etag_of(found.etag, _DIGEST)
    return _Tried(sent.ok, is_md5, let_in)


async def _try_part(examination: Examination) -> _Tried:
    # Of an upload of its own: rclone 1.75 drops one of which it refuses a part.
    url = await _part_url(examination, *await _begin(examination))
    let_in = await _let_in(examination, "part", url, _MD5)
    key, upload_id = await _begin(examination)
    made = examination.object_at(key)
    url = await _part_url(examination, key, upload_id)
    sent = await examination.browser.send("PUT", url, _MD5, CONTENT)
    parts = await made.list_parts(upload_id)
    if not sent.ok or not parts:
        return _Tried(stored=False, has_md5_etag=False, let_in=let_in)
    await made.complete_upload(upload_id, parts)
    del examination.unfinished[upload_id]
    found = await made.head()
    is_joined = found is not None and bare(found.etag) == joined_etag([_DIGEST])
    return _Tried(sent.ok, is_joined and is_etag_of(parts[0].etag, _DIGEST), let_in)


async def _begin(examination: Examination) -> tuple[str, str]:
    """The key and the id of a new upload in parts."""
    key = examination.new_key()
    upload_id = await examination.object_at(key).create_upload(examination.headers("multipart"))
    examination.unfinished[upload_id] = key
    return key, upload_id


async def _part_url(examination: Examination, key: str, upload_id: str) -> str:
    [url], _ = await examination.signer.presign_parts(
        examination.destination.address,
        key,
        upload_id,
        [(1, len(CONTENT))],
        expires_in=SIGNED_FOR,
        checksums=list(_MD5.values()),
    )
    return url


async def _let_in(
    examination: Examination, what: str, url: str, headers: Mapping[str, str]
) -> list[str]:
    """The requests that the store did not refuse although they are not as they were signed."""
    without = {name: value for name, value in headers.items() if name not in _MD5}
    send = examination.browser.send
    tries = {
        f"a {what} of other bytes than its MD5": await send("PUT", url, headers, OTHER_CONTENT),
        f"a {what} without its MD5": await send("PUT", url, without, CONTENT),
    }
    return [what for what, answer in tries.items() if not answer.refused]


def _report(examination: Examination, let_in: list[str]) -> None:
    findings, abilities = examination.findings, examination.abilities
    by_form = examination.destination.method == "post"
    if let_in and not abilities.md5_etags:
        findings.fail(
            "integrity",
            f"The store takes {' and '.join(let_in)}, and its ETags are no MD5s: nothing is "
            "compared with what was announced.",
            "Set the destination's integrity = off: its clients would hash for nothing.",
        )
    elif let_in:
        findings.warn(
            "integrity",
            f"The store takes {' and '.join(let_in)}; only when it is confirmed is that found out, "
            "by its ETag.",
            "Nothing to mend: the file is refused, or the part sent again, then.",
        )
    elif by_form and not abilities.md5_etags:
        findings.warn(
            "integrity",
            "The store refuses other bytes than a signed MD5, but its ETags are no MD5s: what is "
            "sent by form has parts_verified false.",
            "Set the destination's method = put, if the store suits it.",
        )
    else:
        findings.ok("integrity", "The store refuses other bytes than those whose MD5 was signed.")
