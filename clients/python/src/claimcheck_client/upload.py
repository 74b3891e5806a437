"""The story of an upload: announced, sent, confirmed; resumed from what the bucket has.

How it goes on after a crash, and why no two files are ever mixed:

1. An upload in parts is remembered by what was announced and by a sample of the file's contents.
2. Whoever comes back asks the service which parts have arrived, and computes the MD5 of each of
   them anew, from the file as it is now. Only those that the bucket has with that very MD5 stay:
   by the MD5 that the service vouches for where the destination has `integrity`, else by the ETag.
3. All others are sent again, over what is there. So what is joined is this file and no other.
4. Where the upload is a file by now, that is this file only if its ETag is made of these MD5s.
   Before that is known `attach_to` puts it into no record; that needs `files:read`.
5. The file's size and time are looked at once more before it is confirmed.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from claimcheck_client import calls
from claimcheck_client.errors import BucketError, ClaimcheckError, FileChanged, Problem
from claimcheck_client.memory import Entry
from claimcheck_client.source import Body, Source
from claimcheck_client.steps import (
    Answer,
    Do,
    Http,
    Limit,
    Progress,
    Steps,
    Together,
    Wait,
    persist,
    request,
)
from claimcheck_client.types import Field, File

# Smaller files go in one request or one part, of which nothing can be resumed.
REMEMBERED_FROM = 5 << 20
_SIGNED_AHEAD = 32  # parts whose URLs are asked for with the one that is needed
_ASKED_EVERY = 2.0  # seconds between two looks whether parts are joined
_MOST_LOOKS = 600  # 20 minutes: after 15 the sweep goes on where a process has died
_TURNS = 3  # tries to go on from what the bucket has, or anew, before a failure is told


@dataclass(frozen=True)
class Wanted:
    """A file to be uploaded; `announcement` as POST /v1/uploads takes it."""

    source: Source
    announcement: dict[str, Any]
    attach_to: Field | None
    parallel: int
    on_progress: Callable[[int, int], None] | None
    remember: Callable[[], Entry]


def upload(wanted: Wanted) -> Steps[File]:
    """Upload a file; the file as the service has it. Raises ClaimcheckError."""
    entry: Entry = yield Do(wanted.remember)
    try:
        for turn in range(_TURNS):
            try:
                return (yield from _Upload(wanted, entry).told())
            except Problem as problem:
                if turn == _TURNS - 1:
                    raise
                if problem.is_of_another_state:
                    entry.forget()  # it goes on as another upload
                elif problem.type != "upload-not-arrived":
                    raise
        raise AssertionError
    finally:
        entry.close()


class _Upload:
    """One try: of what was remembered, or else announced anew."""

    def __init__(self, wanted: Wanted, entry: Entry) -> None:
        self.wanted, self.source, self.entry = wanted, wanted.source, entry
        self.progress = Progress(self.source.size, wanted.on_progress)

    def told(self) -> Steps[File]:
        announced: dict[str, Any] | None = None
        if self.entry.found:
            announced = yield from self._resume()
            if announced is None:
                self.entry.forget()
        if announced is None:
            announced = yield from self._announce()
        how = announced.pop("upload")
        if how is None:
            self.entry.forget()
            return cast(File, announced)
        self.id = announced["id"]
        try:
            if how["method"] == "multipart":
                yield from self._send_parts(how)
            else:
                yield from persist(partial(self._send_whole, how))
            self.source.require_unchanged()
        except FileChanged:
            self.entry.forget()
            with suppress(ClaimcheckError):  # else it is swept away
                yield from request("DELETE", f"/v1/uploads/{self.id}", retries=1)
            raise
        file = yield from self._confirm()
        self.entry.forget()
        return file

    def _confirm(self) -> Steps[File]:
        attach_to = self.wanted.attach_to
        body = None if attach_to is None else {"attach_to": attach_to}
        found: File = yield from request("POST", f"/v1/uploads/{self.id}/confirm", json=body)
        return found

    def _announce(self) -> Steps[dict[str, Any]]:
        body = self.wanted.announcement
        try:
            announced = yield from request("POST", "/v1/uploads", json=body, once=True)
        except Problem as problem:
            if problem.type != "checksum-required":
                raise
            md5 = yield Do(partial(self.source.digest, "md5"))
            body = {**body, "checksum_md5": base64.b64encode(md5).decode()}
            announced = yield from request("POST", "/v1/uploads", json=body, once=True)
        how = announced["upload"]
        if how and how["method"] == "multipart":
            self.entry.save(id=announced["id"], part_size=how["part_size"])
        self.done: set[int] = set()
        return cast(dict[str, Any], announced)

    def _resume(self) -> Steps[dict[str, Any] | None]:
        """The upload that was remembered, as its announcement; None where it is not this file's."""
        self.id = self.entry.found["id"]
        try:
            announced = yield from request("POST", f"/v1/uploads/{self.id}/renew")
        except Problem as problem:
            if problem.type == "upload-not-pending":
                return (yield from self._resume_confirmed())
            if problem.status in (403, 404, 409, 422):
                return None  # it has ended, or is of another key
            raise
        how = announced["upload"]
        if not how or how["method"] != "multipart":
            return None
        known = yield from request("GET", f"/v1/uploads/{self.id}/parts")
        self.done = yield Do(partial(self._held, known, how))
        return cast(dict[str, Any], announced)

    def _held(self, known: dict[str, Any], how: dict[str, Any]) -> set[int]:
        """The parts that the bucket has with the bytes of this file."""
        held = set()
        for part in known["parts"]:
            number, size = part["part_number"], self._size_of(part["part_number"], how)
            if part["size"] != size:
                continue
            md5 = self.source.digest("md5", (number - 1) * how["part_size"], size)
            if how.get("integrity"):
                is_held = part.get("checksum_md5") == base64.b64encode(md5).decode()
            else:
                is_held = (part["etag"] or "").strip('"') == md5.hex()
            if is_held:
                held.add(number)
                self.progress.reset(number, size)
        return held

    def _size_of(self, number: int, how: dict[str, Any]) -> int:
        size: int = how["part_size"]
        return min(size, self.source.size - (number - 1) * size)

    def _resume_confirmed(self) -> Steps[dict[str, Any] | None]:
        """The file that it became, before somebody could hear of it, if it has these bytes."""
        attach_to = self.wanted.attach_to
        try:
            # A confirm would put it into the record, whatever its bytes are.
            file = yield from (self._confirm() if attach_to is None else self._read())
        except Problem as problem:
            if problem.status in (403, 404, 409, 422):
                return None  # it did not become one, or may not be read
            raise
        etag = yield Do(partial(self._etag, self.entry.found["part_size"]))
        if (file["etag"] or "").strip('"') != etag:
            return None
        if attach_to is not None:
            file = yield from self._confirm()
        return {**file, "upload": None}

    def _read(self) -> Steps[File]:
        """The file, once its parts are joined. Raises Problem where it is none by then."""
        for _ in range(_MOST_LOOKS):
            upload = yield from request("GET", f"/v1/uploads/{self.id}")
            if upload["state"] != "completing":
                break
            yield Wait(_ASKED_EVERY)
        return (yield from calls.file(self.id))

    def _etag(self, part_size: int) -> str:
        """As stores make it of parts: the MD5 of their MD5s, and how many they are."""
        starts = range(0, self.source.size, part_size)
        sizes = (min(part_size, self.source.size - start) for start in starts)
        digests = [self.source.digest("md5", *each) for each in zip(starts, sizes, strict=True)]
        whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
        return f"{whole}-{len(digests)}"

    def _send_whole(self, how: dict[str, Any], failures: int) -> Steps[None]:
        if failures:
            announced = yield from request("POST", f"/v1/uploads/{self.id}/renew")
            how = announced["upload"]
        self.progress.reset(1)
        add = partial(self.progress.add, 1)
        if how["method"] == "POST":
            kind, ends = form(how["fields"])
            headers = {"content-type": kind}
        else:
            headers, ends = dict(how["headers"]), (b"", b"")
        body = Body(self.source, 0, self.source.size, add, ends)
        answer: Answer = yield Http(how["method"], how["url"], headers, body, body.length)
        # 412: the URL may only create, and an earlier try had arrived.
        if answer.status != 412:
            require_taken(answer)

    def _send_parts(self, how: dict[str, Any]) -> Steps[None]:
        urls = _Urls(self.id, how, self.done)
        limit = Limit(self.wanted.parallel)

        def parts() -> Iterator[Steps[None]]:
            for number in range(1, how["part_count"] + 1):
                if number not in self.done:
                    yield persist(partial(self._send_part, how, urls, limit, number))

        yield Together(parts(), limit)

    def _send_part(
        self, how: dict[str, Any], urls: _Urls, limit: Limit, number: int, failures: int
    ) -> Steps[None]:
        if failures:
            limit.failed()
        start, size = (number - 1) * how["part_size"], self._size_of(number, how)
        md5 = None
        if how.get("integrity"):
            md5 = yield Do(partial(self.source.digest, "md5", start, size))
        part = yield from urls.get(number, md5, is_fresh=failures > 0)
        self.progress.reset(number)
        body = Body(self.source, start, size, partial(self.progress.add, number))
        begun = time.monotonic()
        answer: Answer = yield Http("PUT", part["url"], part.get("headers", {}), body, size)
        require_taken(answer)
        limit.took(time.monotonic() - begun)
        self.done.add(number)


class _Urls:
    """Signed requests of parts, asked for as they are needed, some ahead of their turn.

    Stories that are told side by side share it. It holds no lock: what two of them ask for at the
    same time is signed twice.
    """

    def __init__(self, upload_id: str, how: dict[str, Any], done: set[int]) -> None:
        self._path = f"/v1/uploads/{upload_id}/parts"
        self._numbers = range(1, how["part_count"] + 1)
        self._done, self._claimed = done, set[int]()
        self._known: dict[int, tuple[dict[str, Any], float]] = {}
        self._learn(how)

    def get(self, number: int, md5: bytes | None, *, is_fresh: bool) -> Steps[dict[str, Any]]:
        """`url` and `headers` of a part; signed anew if `is_fresh`, or where its MD5 is signed."""
        if md5 is not None:
            body = {"part_numbers": [number], "checksums_md5": [base64.b64encode(md5).decode()]}
            signed = yield from request("POST", self._path, json=body)
            return cast(dict[str, Any], signed["parts"][0])
        part, end = self._known.pop(number, (None, 0))
        if part is None or is_fresh or end < time.time():
            numbers = [number] if is_fresh else [number, *self._ahead(number)]
            self._learn((yield from request("POST", self._path, json={"part_numbers": numbers})))
            part, _ = self._known.pop(number)
        return part

    def _ahead(self, number: int) -> Iterator[int]:
        """The next parts that nobody has asked for yet."""
        for other in self._numbers[number : number + _SIGNED_AHEAD]:
            if other not in self._done and other not in self._claimed:
                self._claimed.add(other)
                yield other

    def _learn(self, signed: dict[str, Any]) -> None:
        end = datetime.fromisoformat(signed["expires_at"]).astimezone(UTC).timestamp()
        # If that is past already, this machine's clock is wrong.
        end = end if end > time.time() else float("inf")
        for part in signed["parts"]:
            self._known[part["part_number"]] = part, end


def require_taken(answer: Answer) -> None:
    if answer.status >= 300:
        text = answer.content.decode(errors="replace")
        raise BucketError(answer.status, text, answer.headers.get("retry-after"))


def form(fields: dict[str, str]) -> tuple[str, tuple[bytes, bytes]]:
    """The type of multipart/form-data (RFC 7578), and what stands before and after the file."""
    boundary = secrets.token_hex(16)
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    # S3 ignores every field after this one.
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
    before = "".join([*lines, file]).encode()
    return f"multipart/form-data; boundary={boundary}", (before, f"\r\n--{boundary}--\r\n".encode())
