"""The contents of a bucket, and what each request does to them: pure, by the store's manners.

Nothing here waits, asks a clock or draws lots. Failures are S3Error, as the store would answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from typing import NamedTuple

from app.embedded.s3_error import S3Error
from tests.simulation.store.body import Body
from tests.simulation.store.manners import Manners

_META = "x-amz-meta-"
_SERVING = ("cache-control", "content-disposition", "content-encoding", "content-language")
_LEAST_PART = 5 * 1024**2
NULL = "null"


class Part(NamedTuple):
    """A part that has arrived."""

    number: int
    body: Body
    etag: str
    at: datetime


@dataclass
class Version:
    """An object, or a delete marker. `digest` is its bytes' identity, `at` when it was written."""

    id: str
    at: datetime
    body: Body = field(default_factory=Body)
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    marker: bool = False
    checksum: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    # On stores whose parts last, those that it is made of, until one was sent again.
    upload_id: str | None = None
    joined: tuple[Part, ...] = ()
    spoiled: bool = False

    @property
    def size(self) -> int:
        return self.body.length

    @property
    def digest(self) -> str:
        return self.body.digest


@dataclass
class Upload:
    """An upload in parts, and what it was joined to."""

    id: str
    key: str
    headers: dict[str, str]
    at: datetime
    parts: list[Part] = field(default_factory=list)
    joined: Version | None = None
    aborted_at: datetime | None = None

    @property
    def metadata(self) -> dict[str, str]:
        return metadata_of(self.headers)

    def listed(self) -> list[Part]:
        """In the order of their numbers; of several with one number, in any."""
        return sorted(self.parts, key=lambda part: (part.number, part.etag))


class Change(NamedTuple):
    """One effect on the bucket. `who` asked for it; `file_id` is in the object's metadata."""

    at: datetime
    what: str
    bucket: str
    key: str
    version_id: str | None
    size: int
    digest: str
    file_id: str | None
    who: str
    etag: str = ""
    upload_id: str | None = None


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    return {n.removeprefix(_META): v for n, v in headers.items() if n.startswith(_META)}


def no_key() -> S3Error:
    return S3Error(404, "NoSuchKey", "The specified key does not exist.")


@dataclass
class Bucket:
    """Versions by key, newest first; without versions one, whose id is `null`."""

    name: str
    manners: Manners
    versioned: bool
    log: list[Change]
    keys: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    # Of uploads that are no more: those that were joined, and those that were aborted.
    gone: dict[str, Upload] = field(default_factory=dict)
    # Objects that are joined and not there yet, with the moment that they will be.
    coming: list[tuple[datetime, str, Version, str]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.versioned = self.versioned and self.manners.versions

    def settle(self, now: datetime) -> None:
        """Show what has come by now."""
        for coming in [each for each in self.coming if each[0] <= now]:
            self.coming.remove(coming)
            self._add(coming[1], coming[2], coming[3], "complete")

    def new_id(self, kind: str) -> str:
        """As unlike the last one as random ids are, and yet the same in each run."""
        self._count += 1
        return md5(f"{self.name}/{kind}/{self._count}".encode(), usedforsecurity=False).hexdigest()

    def latest(self, key: str) -> Version | None:
        """The version that a GET of the key shows; None where it is hidden, or was never there."""
        versions = self.keys.get(key)
        return versions[0] if versions and not versions[0].marker else None

    def find(self, key: str, version_id: str | None, *, head: bool = False) -> Version:
        """Raises S3Error."""
        if version_id is None or not self.manners.versions:
            found = self.latest(key)
            if found is None:
                raise no_key()
        else:
            versions = self.keys.get(key, [])
            found = next((one for one in versions if one.id == version_id), None)
            if found is None:
                code = self.manners.gone_version
                raise S3Error(404, code, "The specified version does not exist.")
            if found.marker:
                status, code = self.manners.marker
                status = self.manners.marker_head if head else status
                raise S3Error(status, code, "It is a delete marker.")
        if found.spoiled and not head:
            raise S3Error(409, "BrokenMPU", "Its parts are others than they were.")
        return found

    def put(
        self, key: str, body: Body, headers: Mapping[str, str], now: datetime, who: str
    ) -> Version:
        """Store an object in one request. Raises S3Error where a condition is not kept."""
        if "if-none-match" in headers:
            self._require_none(key)
        version = self._made(body, headers, now, f'"{body.md5.hex()}"')
        if self.manners.checksums == "told":
            version.checksum = headers.get("x-amz-checksum-sha256")
        self._add(key, version, who, "put")
        return version

    def _require_none(self, key: str) -> None:
        kept = self.manners.conditions
        if kept == "refused":
            raise S3Error(501, "NotImplemented", "Conditions are not implemented.")
        applies = kept == "kept" or (kept == "unversioned" and not self.versioned)
        if applies and self.latest(key) is not None:
            message = "At least one of the pre-conditions you specified did not hold"
            raise S3Error(412, "PreconditionFailed", message)

    def _made(self, body: Body, headers: Mapping[str, str], now: datetime, etag: str) -> Version:
        kept = {name: headers[name] for name in _SERVING if name in headers}
        kept["content-type"] = headers.get("content-type", "binary/octet-stream")
        version_id = self.new_id("version") if self.versioned else NULL
        return Version(version_id, now, body, etag, kept, metadata_of(headers))

    def _add(self, key: str, version: Version, who: str, what: str) -> None:
        others = self.keys.get(key, []) if self.versioned else []
        self.keys[key] = [version, *others]
        self._note(version.at, what, key, version, who)

    def _note(self, now: datetime, what: str, key: str, version: Version, who: str) -> None:
        file_id = version.metadata.get("claimcheck-id")
        shown = None if version.id == NULL else version.id
        digest = "" if version.marker else version.digest
        told = (now, what, self.name, key, shown, version.size, digest, file_id, who)
        self.log.append(Change(*told, version.etag, version.upload_id))

    def _note_upload(
        self, now: datetime, what: str, upload: Upload, who: str, part: Part | None = None
    ) -> None:
        size, digest, etag = (
            (part.body.length, part.body.digest, part.etag) if part else (0, "", "")
        )
        file_id = upload.metadata.get("claimcheck-id")
        told = (now, what, self.name, upload.key, None, size, digest, file_id, who)
        self.log.append(Change(*told, etag, upload.id))

    def delete(self, key: str, version_id: str | None, now: datetime, who: str) -> Version | None:
        """Delete a version, or hide the key; the marker, or what was deleted."""
        versions = self.keys.get(key, [])
        if version_id is None and self.versioned:
            if not versions and not self.manners.marks_nothing:
                return None
            marker = Version(self.new_id("version"), now, marker=True)
            self._add(key, marker, who, "marker")
            return marker
        wanted = NULL if version_id is None else version_id
        found = next((one for one in versions if one.id == wanted), None)
        if found is not None:
            versions.remove(found)
            if not versions:
                del self.keys[key]
            self._note(now, "delete", key, found, who)
        return found

    def versions(
        self, prefix: str, key_marker: str, id_marker: str
    ) -> Iterator[tuple[str, Version]]:
        """In the order of a list, from behind the markers."""
        skipping = bool(id_marker)
        for key in sorted(self.keys, key=str.encode):
            if not key.startswith(prefix) or key.encode() < key_marker.encode():
                continue
            repeats = self.manners.list_repeats_marker and self.versioned
            if key == key_marker and not id_marker and not repeats:
                continue
            for version in self.keys[key]:
                if not (skipping and key == key_marker):
                    yield key, version
                elif version.id == id_marker:
                    skipping = False

    def create_upload(self, key: str, headers: Mapping[str, str], now: datetime) -> str:
        upload = Upload(self.new_id("upload"), key, dict(headers), now)
        self.uploads[upload.id] = upload
        return upload.id

    def upload(
        self, key: str, upload_id: str, gone: tuple[int, str] = (404, "NoSuchUpload")
    ) -> Upload:
        """One that is under way, or whose parts last. Raises S3Error."""
        upload = self.uploads.get(upload_id)
        if upload is None and self.manners.lasting_parts:
            upload = self.gone.get(upload_id)
            if upload is not None and not self._lasts(upload):
                upload = None
        if upload is None or upload.key != key:
            raise S3Error(*gone, "The specified upload does not exist.")
        return upload

    def _lasts(self, upload: Upload) -> bool:
        """Whether what it was joined to is there still."""
        joined = upload.joined
        return joined is not None and any(one is joined for one in self.keys.get(upload.key, []))

    def put_part(
        self, key: str, upload_id: str, number: int, body: Body, now: datetime, who: str
    ) -> str:
        """The part's ETag. Raises S3Error."""
        upload = self.upload(key, upload_id)
        part = Part(number, body, f'"{body.md5.hex()}"', now)
        olds = [old for old in upload.parts if old.number == number]
        if olds and self.manners.part_again == "refused" and olds[0].body != body:
            raise S3Error(501, "NotImplemented", "A part is sent once.")
        if self.manners.part_again != "beside":
            upload.parts = [old for old in upload.parts if old.number != number]
        upload.parts.append(part)
        if upload.joined is not None:
            now_there = {part.number: part.body for part in upload.parts}
            joined = upload.joined.joined
            upload.joined.spoiled = any(now_there[p.number] != p.body for p in joined)
        self._note_upload(now, "part", upload, who, part)
        return part.etag

    def complete(
        self,
        key: str,
        upload_id: str,
        named: Sequence[tuple[int, str]],
        now: datetime,
        who: str,
        *,
        shown_at: datetime | None = None,
        again: bool = False,
    ) -> Version:
        """Join the parts; the object is there at once or at `shown_at`. `again`: a second time is
        answered as the first was. Raises S3Error.
        """
        done = self.gone.get(upload_id)
        upload = self.uploads.get(upload_id)
        if done is not None and done.joined is not None and done.key == key and again:
            etags = [(part.number, part.etag.strip('"')) for part in done.joined.joined]
            same = [(number, etag.strip('"')) for number, etag in named] == etags
            if same or (self.manners.complete_twice != "same" and not self.manners.lasting_parts):
                return done.joined
            upload = done if self.manners.lasting_parts else None
        if upload is None or upload.key != key:
            raise S3Error(*self.manners.no_complete, "The specified upload does not exist.")
        parts = [self._named(upload, number, etag) for number, etag in named]
        # Named twice where it is listed twice: it is one part.
        chosen = {part.number: part for part in sorted(parts, key=lambda part: part.at)}
        numbers = [number for number, _ in named]
        if not numbers or numbers != sorted(numbers):
            raise S3Error(400, "InvalidPartOrder", "The parts are not in order.")
        joined = [chosen[number] for number in sorted(chosen)]
        if not self.manners.joins_small and any(p.body.length < _LEAST_PART for p in joined[:-1]):
            raise S3Error(400, "EntityTooSmall", "A part is too small.")
        body = Body()
        for part in joined:
            body += part.body
        digests = b"".join(part.body.md5 for part in joined)
        etag = f'"{md5(digests, usedforsecurity=False).hexdigest()}-{len(joined)}"'
        if self.manners.whole_etag:
            etag = f'"{body.md5.hex()}"'
        version = self._made(body, upload.headers, now, etag)
        version.upload_id, version.joined = upload_id, tuple(joined)
        upload.joined = version
        self.gone[upload_id] = self.uploads.pop(upload_id, upload)
        if shown_at is None or shown_at <= now:
            self._add(key, version, who, "complete")
        else:
            version.at = shown_at
            self.coming.append((shown_at, key, version, who))
        return version

    @staticmethod
    def _named(upload: Upload, number: int, etag: str) -> Part:
        wanted = etag.strip('"')
        for part in reversed(upload.parts):
            if part.number == number and part.etag.strip('"') == wanted:
                return part
        raise S3Error(400, "InvalidPart", "One of the parts is not there, or another.")

    def abort(self, key: str, upload_id: str, now: datetime, who: str) -> None:
        """Drop the upload with its parts. Raises S3Error where it is gone."""
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            if self.manners.no_abort is None:
                return
            gone = self.gone.get(upload_id)
            if self.manners.lasting_parts and gone is not None and gone.joined is not None:
                raise no_key()
            raise S3Error(*self.manners.no_abort, "The specified upload does not exist.")
        self.gone[upload_id] = self.uploads.pop(upload_id)
        upload.parts.clear()
        upload.aborted_at = now
        self._note_upload(now, "abort", upload, who)

    def was_aborted_since(self, upload_id: str, begun: datetime) -> bool:
        """Whether a part that was under way since then has lost its upload."""
        upload = self.gone.get(upload_id)
        return upload is not None and upload.aborted_at is not None and begun < upload.aborted_at

    def revive(self, upload_id: str) -> None:
        """Bring an aborted upload back, for a part that comes to stay."""
        self.uploads[upload_id] = self.gone.pop(upload_id)
