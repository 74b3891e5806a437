"""moto's objects, changed so that their bytes are `Contents`, and none outlives its deletion.

moto itself keeps every object's bytes in an open file and a copy in memory at each step, and a
reference to every object that it has ever made.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

from moto.core.common_models import BaseModel
from moto.s3 import responses
from moto.s3.exceptions import EntityTooSmall, InvalidPart, InvalidPartOrder, MalformedXML
from moto.s3.models import FakeKey, FakeMultipart
from moto.settings import S3_UPLOAD_PART_MIN_SIZE

from app.embedded.contents import Contents, Writer


def install() -> None:
    """Change moto's classes in this process, once, before the first object is made."""
    # moto tracks instances for a reset, which is never asked for here.
    setattr(BaseModel, "__new__", lambda cls, *_, **__: object.__new__(cls))  # noqa: B010
    for name, member in {
        "value": property(_value, _set_value),
        "etag": property(_etag),
        "dispose": _dispose,
        "__del__": lambda _: None,
    }.items():
        setattr(FakeKey, name, member)
    setattr(FakeMultipart, "complete", _complete)  # noqa: B010
    # Of a copy for which another algorithm was asked.
    setattr(responses, "compute_checksum", _checksum)  # noqa: B010


def _value(key: Any) -> Contents:
    contents: Contents = key.contents
    return contents


def _set_value(key: Any, value: Contents | bytes) -> None:
    if not isinstance(value, Contents):
        writer = Writer()
        writer.write(value)
        value = writer.finish()
    key.contents = value
    key.contentsize = len(value)


def _etag(key: Any) -> str:
    if key._etag is None:
        key._etag = key.contents.md5
    return f'"{key._etag}"'


def _dispose(key: Any) -> None:
    """Let go of the bytes; answers that are on their way keep them until they have been sent."""
    key.contents = Contents()
    if key.multipart:
        key.multipart.dispose()
    key.disposed = True


def _complete(
    upload: Any, listed: Iterable[tuple[int, str]]
) -> tuple[Contents, str, tuple[str, str, int] | None]:
    """The joined bytes, the ETag, and type, value and number of parts of the checksum."""
    parts: list[tuple[int, FakeKey]] = []
    for number, etag in listed:
        if parts and number <= parts[-1][0]:
            raise InvalidPartOrder
        part = upload.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip().strip('"'):
            raise InvalidPart
        if parts and parts[-1][1].size < S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        parts.append((number, part))
    if not parts:
        raise MalformedXML
    upload.joined_parts, start = [], 0
    for number, part in parts:
        upload.joined_parts.append((number, start, part.size))
        start += part.size
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for _, part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    values: list[Contents] = [part.value for _, part in parts]  # type: ignore[misc]
    return Contents.joined(values), etag, _checksum_of_parts(upload, values)


def _checksum_of_parts(upload: Any, values: list[Contents]) -> tuple[str, str, int] | None:
    algorithm: str | None = upload.metadata.get("x-amz-checksum-algorithm")
    if algorithm is None:
        return None
    if upload.metadata.get("x-amz-checksum-type", "COMPOSITE") != "COMPOSITE":
        return "FULL_OBJECT", _checksum(Contents.joined(values), algorithm).decode(), 1
    digests = Writer()
    for value in values:
        digests.write(_digest(value, algorithm))
    return "COMPOSITE", _checksum(digests.finish(), algorithm).decode(), len(values)


def _checksum(value: Contents, algorithm: str) -> bytes:
    return base64.b64encode(_digest(value, algorithm))


def _digest(value: Contents, algorithm: str) -> bytes:
    if algorithm == "CRC32":
        crc = 0
        for data in value.chunks():
            crc = zlib.crc32(data, crc)
        return crc.to_bytes(4, "big")
    hasher = hashlib.new("sha1" if algorithm == "SHA1" else "sha256", usedforsecurity=False)
    for data in value.chunks():
        hasher.update(data)
    return hasher.digest()
