"""Objects that were in the bucket before become files, without being copied.

Each is asked for once, as at confirm, and stored as a confirmed row that pins its version. Nothing
in the bucket changes. Keys that have a row already, in whatever state, are left alone, so that all
of it can be repeated.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from app.core.content_types import (
    OCTET_STREAM,
    guess_content_type,
    normalize_content_type,
    types_in,
)
from app.core.contents import HEAD_BYTES, charset_to_say, detect, rules
from app.core.destination import Destination
from app.core.key_normalizer import Filename, InvalidName, clean_filename
from app.core.object_url import UnsignableValue, object_url
from app.core.principal import Principal
from app.core.record_field import FieldPath
from app.core.scans import Scan
from app.db import files as db_files
from app.db.reconcile import states_of
from app.db.usage import adding
from app.errors import (
    BucketRefused,
    BucketUnavailable,
    DatabaseUnavailable,
    Problem,
    UploadNotArrived,
)
from app.loading import load_once
from app.logs.audit import audit_files
from app.models.files import File, Seal, State
from app.records.fields import check_destination, declared_field
from app.records.writing import Attachment, Change, attach, audit_change, lock_record
from app.runtime.resources import Resources
from app.store.look import StoredObject
from app.store.refusals import refused_object
from app.uploads.objections import contents_objection, is_examined, true_type
from app.uploads.rules import check_rules
from app.uploads.verify import load_examine

# What stores say of objects that were sent without a type (AWS API, PutObject).
_NO_TYPES: Final = types_in(
    f"binary/octet-stream {OCTET_STREAM} application/x-www-form-urlencoded"
) | {""}
_UNREADABLE: Final = (
    "Its bucket is open to the service: it may be another account's, or encrypted with a key that "
    "the service has not or may not use (kms:Decrypt), or s3:GetObject is denied for it. Give the "
    "service that right, or copy the object with its owner's, and adopt it again."
)


class Outcome(StrEnum):
    """The end of a look at an object."""

    ADOPTED = "adopted"  # it is a file now; on a dry run, it would be one
    KNOWN = "known"  # its key has a row already
    DIFFERS = "differs"  # the destination would not take it
    ABSENT = "absent"  # there is no such object
    REFUSED = "refused"  # it cannot be a file here


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object to adopt, and what its file is to be. `filename`: by default its key's last part;
    `created_at`: by default when the object was stored.
    """

    destination: Destination
    key: str
    owner: str
    tenant: str = ""
    filename: str | None = None
    created_at: datetime | None = None
    attach_to: FieldPath | None = None


class Adoption(NamedTuple):
    """The outcome of a candidate; `size` in bytes, `reason` in words."""

    outcome: Outcome
    bucket: str
    key: str
    size: int | None = None
    reason: str | None = None
    file_id: UUID | None = None


class Pace:
    """Lets so many through a second, evenly; None: all at once."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Return when it is the next one's turn."""
        now = monotonic()
        at = max(now, self._next)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)


@dataclass(frozen=True, slots=True)
class How:
    """`apply`: store the files, else only say what would become of them. `look`: compare the first
    bytes of each as well. `anyway`: also what the destination would not take. `gate` lets so many
    requests to the bucket through at once, `pace` so many in a second.
    """

    apply: bool
    look: bool
    anyway: bool
    gate: asyncio.Semaphore
    pace: Pace


async def adopt(res: Resources, page: Sequence[Candidate], how: How) -> list[Adoption]:
    """Adopt these objects, and say in their order what became of each.

    Raises BucketRefused, BucketUnavailable, DatabaseUnavailable; then some may be adopted.
    """
    states = await _known(res, page)

    async def one(candidate: Candidate) -> Adoption | File:
        state = states.get((candidate.destination.bucket, candidate.key))
        if state is not None:
            return _said(candidate, Outcome.KNOWN, reason=f"Its key has a {state} row.")
        async with how.gate:
            await how.pace.wait()
            return await _examine(res, candidate, how)

    found = await asyncio.gather(*map(one, page))
    stored = await _store(res, page, found) if how.apply else {}
    return [
        stored.get(index) or _said(page[index], Outcome.ADOPTED, one.size)
        if isinstance(one, File)
        else one
        for index, one in enumerate(found)
    ]


def _said(
    candidate: Candidate,
    outcome: Outcome,
    size: int | None = None,
    reason: str | None = None,
    file_id: UUID | None = None,
) -> Adoption:
    return Adoption(outcome, candidate.destination.bucket, candidate.key, size, reason, file_id)


async def _known(res: Resources, page: Iterable[Candidate]) -> dict[tuple[str, str], str]:
    keys: dict[str, list[str]] = {}
    for candidate in page:
        keys.setdefault(candidate.destination.bucket, []).append(candidate.key)
    async with res.db.connection() as db:
        return {
            (bucket, key): state
            for bucket, wanted in keys.items()
            for key, state in (await states_of(db, bucket, wanted)).items()
        }


async def _examine(res: Resources, candidate: Candidate, how: How) -> Adoption | File:
    """The row of the object's file, or why it has none."""
    handle = res.object_at(candidate.destination, candidate.key)
    try:
        # One request: the first bytes, or else what the store knows of the whole object's hash.
        found = await handle.look(length=HEAD_BYTES if how.look else 0, checksum=not how.look)
    except UnsignableValue as error:
        return _said(candidate, Outcome.REFUSED, reason=f"No link can be signed for it: {error}.")
    except UploadNotArrived as problem:
        return _said(candidate, Outcome.DIFFERS, reason=problem.detail)
    except (BucketRefused, BucketUnavailable) as problem:
        code = refused_object(problem.__cause__)
        if code is None:
            raise
        await how.pace.wait()
        # Asked now: what held for the bucket a moment ago may not hold any more.
        await res.buckets.check(candidate.destination)
        return _said(
            candidate, Outcome.REFUSED, reason=f"The store refused it ({code}). {_UNREADABLE}"
        )
    if found is None:
        return _said(candidate, Outcome.ABSENT, reason="The bucket has no object of this key.")
    try:
        name = clean_filename(candidate.filename or candidate.key)
    except InvalidName as error:
        objection = f"{error} Give it another with `filename`."
        return _said(candidate, Outcome.REFUSED, found.size, objection)
    file = _row(res, candidate, name, found)
    reason: str | None = None
    if how.look and found.start is None:
        reason = "It is archived, so that its first bytes cannot be read."
    elif how.look:
        await load_once(rules)
        file, reason = _looked_at(candidate.destination, file, found.start or b"")
        if reason is None and is_examined(candidate.destination, file):
            examine = await load_once(load_examine)
            try:
                file, reason = await examine(handle, file, found)
            except UploadNotArrived as problem:
                reason = problem.detail
    reason = reason or _broken_rule(candidate.destination, name, file)
    if reason is not None and not how.anyway:
        return _said(candidate, Outcome.DIFFERS, found.size, reason)
    return file


def _row(res: Resources, candidate: Candidate, name: Filename, found: StoredObject) -> File:
    destination, key = candidate.destination, candidate.key
    created_at = candidate.created_at or _stored_at(res, found)
    stored_type = normalize_content_type(found.content_type)
    content_type = guess_content_type(name.extension) if stored_type in _NO_TYPES else stored_type
    return File(
        id=res.new_id(created_at),
        owner=candidate.owner,
        tenant=candidate.tenant,
        session_id=None,
        destination=destination.name,
        bucket=destination.bucket,
        key=key,
        url=object_url(destination.stored_endpoint, destination.bucket, key),
        filename=name.display,
        content_type=content_type,
        detected_type=None,
        size=found.size,
        checksum_sha256=found.checksum_sha256,
        checksum_verified=found.checksum_sha256 is not None,
        method="put",
        state=State.CONFIRMED.value,
        reason=None,
        etag=found.etag,
        version_id=found.version_id,
        created_at=created_at,
        # Nothing was ever signed for its key.
        expires_at=created_at,
        confirmed_at=res.clock(),
        ended_at=None,
        # A worker scans it from now on, as after confirm.
        claimed_until=res.clock() if destination.is_scanned_by_worker else None,
        store_upload_id=None,
        part_size=None,
        sealed=(Seal.NO if found.version_id is None else Seal.VERSION).value,
        attachments=0,
        part_count=None,
        announced_type=None if stored_type == content_type else stored_type or OCTET_STREAM,
        charset=None,
        look_at=None,
        self_confirmed=False,
        path=None,
        metadata=None,
        reserved=None,
        scan=Scan.PENDING.value if destination.scan == "required" else None,
    )


def _stored_at(res: Resources, found: StoredObject) -> datetime:
    try:
        moment = parsedate_to_datetime(found.last_modified)
    except ValueError:
        return res.clock()
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _looked_at(destination: Destination, file: File, head: bytes) -> tuple[File, str | None]:
    """The row with what its first bytes show, and what speaks against that."""
    detected = detect(head)
    charset = charset_to_say(file.content_type, head, is_whole=len(head) == file.size)
    file = file._replace(detected_type=detected, charset=charset)
    truly = true_type(destination, file, detected)
    if truly is not None:
        stored_type = file.announced_type or file.content_type
        file = file._replace(content_type=truly, announced_type=stored_type)
    return file, contents_objection(destination, file, detected)


def _broken_rule(destination: Destination, name: Filename, file: File) -> str | None:
    try:
        check_rules(destination, name, file.content_type, file.size)
    except Problem as problem:
        return problem.detail
    return None


async def _store(
    res: Resources, page: Sequence[Candidate], found: Sequence[Adoption | File]
) -> dict[int, Adoption]:
    rows = {index: one for index, one in enumerate(found) if isinstance(one, File)}
    loose = {index: file for index, file in rows.items() if page[index].attach_to is None}
    stored: set[UUID] = set()
    if loose:
        files = list(loose.values())
        async with res.db.transaction() as db, adding(db, files, res.settings.quota):
            stored = await db_files.insert_confirmed(db, files)
    done = {index: _stored(page[index], file, file.id in stored) for index, file in loose.items()}
    audit_files("file.adopted", [file for file in loose.values() if file.id in stored])
    for index, file in rows.items():
        if index not in loose:
            done[index] = await _store_attached(res, page[index], file)
    return done


def _stored(candidate: Candidate, file: File, is_new: bool) -> Adoption:
    if is_new:
        return _said(candidate, Outcome.ADOPTED, file.size, file_id=file.id)
    return _said(candidate, Outcome.KNOWN, file.size, "Its key has got a row meanwhile.")


async def _store_attached(res: Resources, candidate: Candidate, file: File) -> Adoption:
    """The file and its place in the record's field, both or neither."""
    path = candidate.attach_to
    assert path is not None
    owner = Principal(candidate.owner, candidate.tenant)
    change: Change | None = None
    try:
        field = declared_field(res, path.type, path.field)
        check_destination(field, path, file.destination)
        attachment = Attachment(path, field, owner, owner)
        async with res.db.transaction() as db:
            record = await lock_record(res, db, attachment)
            async with adding(db, [file], res.settings.quota):
                is_stored = await db_files.insert_confirmed(db, [file])
            if is_stored:
                change = await attach(res, db, attachment, record, file.id)
    except (BucketUnavailable, DatabaseUnavailable):
        raise
    except Problem as problem:
        return _said(candidate, Outcome.REFUSED, file.size, problem.detail)
    if change is not None:
        audit_files("file.adopted", [file])
        audit_change(change)
    return _stored(candidate, file, change is not None)
