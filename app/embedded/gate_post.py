"""Uploads by POST form: parses the form and checks it against its signed policy.

Source: AWS, API/sigv4-HTTPPOSTForms, API/sigv4-HTTPPOSTConstructPolicy, API/RESTObjectPOST.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.embedded.contents import Contents
from app.embedded.gate_body import Body, read_chunks
from app.embedded.gate_request import S3Request
from app.embedded.s3_error import S3Error, access_denied, invalid_argument

_MAX_PRE_FILE_BYTES = 20_480
# More than one chunk of the body and the part of a boundary that a chunk may end with.
_MAX_BUFFER = 256 << 10
_UNCOVERED = ("policy", "x-amz-signature")
# The fields that become headers of the object; x-amz-copy-source is not among them.
_OBJECT_FIELDS = re.compile(
    "cache-control|content-(disposition|encoding|language|type)|expires|x-amz-storage-class|"
    "x-amz-website-redirect-location|x-amz-sdk-checksum-algorithm|"
    "x-amz-(meta|checksum|server-side-encryption)(-[a-z0-9_.-]+)?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Form:
    """A form that its policy allows. Field names are in lower case."""

    fields: Mapping[str, str]
    contents: Contents

    @property
    def key(self) -> str:
        """The object key, with `${filename}` replaced."""
        return self.fields["key"]

    def headers(self) -> dict[str, str]:
        """The headers of the PUT that stores the same object."""
        headers = {n: v for n, v in self.fields.items() if _OBJECT_FIELDS.fullmatch(n)}
        if "acl" in self.fields:
            headers["x-amz-acl"] = self.fields["acl"]
        for name, value in headers.items():
            if _CONTROL.search(value):
                raise invalid_argument(f"The field {name} cannot be stored as a header.")
        return headers


def receive_form(
    request: S3Request, verify: Callable[[Mapping[str, str], datetime], None], now: datetime
) -> Form:
    """Read the form; `verify` gets the fields, and may raise, before any byte of the file is read.

    Fields after the file are ignored, as on S3. Raises S3Error: 403 for fields that the policy does
    not allow and for an expired policy; 400 for a size that it does not allow, a form or a policy
    that cannot be parsed, or a digest that is not that of the bytes; 412 for another type of body.
    """
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type.lower() != "multipart/form-data" or not options.get("boundary"):
        message = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error(412, "PreconditionFailed", message)
    events = _events(request, options["boundary"].encode())
    fields = _read_fields(events)
    verify(fields, now)
    smallest, largest = check_policy(fields, request.bucket, now)
    body = Body(fields)
    for data in _part(events):
        body.write(data)
        if largest is not None and body.length > largest:
            message = "Your proposed upload exceeds the maximum allowed size"
            raise S3Error(400, "EntityTooLarge", message, MaxSizeAllowed=str(largest))
    if body.length < smallest:
        message = "Your proposed upload is smaller than the minimum allowed size"
        raise S3Error(400, "EntityTooSmall", message, MinSizeAllowed=str(smallest))
    return Form(fields, body.finish())


def _events(request: S3Request, boundary: bytes) -> Iterator[Event]:
    """The events of the form as it arrives: each part's head, its bytes, and the form's end."""
    decoder = MultipartDecoder(boundary, _MAX_BUFFER)
    chunks = read_chunks(request.stream)
    while True:
        try:
            event = decoder.next_event()
            if isinstance(event, NeedData):
                decoder.receive_data(next(chunks, None))
                continue
        except (ValueError, RequestEntityTooLarge) as error:
            raise _malformed() from error
        yield event


def _part(events: Iterator[Event]) -> Iterator[bytes]:
    """The bytes of the part whose head was the event before."""
    for event in events:
        if not isinstance(event, Data):
            raise _malformed()
        yield event.data
        if not event.more_data:
            return


def _read_fields(events: Iterator[Event]) -> dict[str, str]:
    """The fields before the file, with `${filename}` in the key replaced."""
    fields: dict[str, str] = {}
    total = 0
    for event in events:
        if isinstance(event, Epilogue):
            break
        if not isinstance(event, Field | File):
            continue
        name = (event.name or "").lower()
        if name == "file" and "key" in fields:
            # Some browsers send the whole path, with the separators of their system.
            filename = re.split(r"[/\\]", event.filename)[-1] if isinstance(event, File) else ""
            fields["key"] = fields["key"].replace("${filename}", filename)
            return fields
        if name == "file":
            break
        value = bytearray()
        for data in _part(events):
            value += data
            total += len(data)
            if total > _MAX_PRE_FILE_BYTES:
                message = "Your POST request fields preceding the upload file were too large."
                raise S3Error(400, "MaxPostPreDataLengthExceeded", message)
        if name in fields:
            raise invalid_argument(f"The form has the field {name} twice.")
        try:
            fields[name] = value.decode()
        except UnicodeDecodeError as error:
            raise invalid_argument(f"The field {name} is not UTF-8.") from error
    if "key" not in fields:
        message = (
            "Bucket POST must contain a field named 'key'. If it is specified, please check the "
            "order of the fields."
        )
        raise invalid_argument(message)
    raise invalid_argument("POST requires exactly one file upload per request.")


def check_policy(fields: Mapping[str, str], bucket: str, now: datetime) -> tuple[int, int | None]:
    """Check `fields` (names in lower case) against the policy that is among them.

    Returns the smallest and the largest allowed number of bytes, None for no limit. Raises S3Error:
    403 where a condition does not hold, a field has none, or the policy has expired; 400 for a
    policy that cannot be parsed.
    """
    policy = _parse_policy(fields["policy"])
    if now >= _parse_expiration(policy.get("expiration")):
        raise _forbidden("Policy expired.")
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("it needs a list of conditions")
    # The bucket of the URL counts, whatever the form says.
    actual = {**fields, "bucket": bucket}
    if fields.get("bucket", bucket) != bucket:
        raise _forbidden("The field bucket names another bucket than the URL.")
    covered = set(_UNCOVERED)
    smallest, largest = 0, None
    for condition in conditions:
        match condition:
            case dict() if condition and all(isinstance(v, str) for v in condition.values()):
                exact = [(name.lower(), value) for name, value in condition.items()]
                holds = all(actual.get(name) == value for name, value in exact)
                covered.update(name for name, _ in exact)
            case ["content-length-range", int(low), int(high)] if low >= 0:
                smallest, largest, holds = low, high, True
            case [str(operator), str(variable), str(value)] if variable.startswith("$"):
                name = variable[1:].lower()
                holds = _holds(operator.lower(), name, actual.get(name), value)
                covered.add(name)
            case _:
                raise _invalid(f"it has a condition of no known form: {json.dumps(condition)}")
        if not holds:
            raise _forbidden(f"Policy Condition failed: {json.dumps(condition)}")
    extra = [name for name in fields if name not in covered and not name.startswith("x-ignore-")]
    if extra:
        raise _forbidden(f"Extra input fields: {', '.join(extra)}")
    return smallest, largest


def _holds(operator: str, name: str, actual: str | None, wanted: str) -> bool:
    if operator not in ("eq", "starts-with"):
        raise _invalid(f"it has the unknown operator {operator}")
    if actual is None:
        return False
    if operator == "eq":
        return actual == wanted
    # A list of types matches if each of them does.
    values = actual.split(",") if name == "content-type" else [actual]
    return all(value.strip().startswith(wanted) for value in values)


def _parse_policy(encoded: str) -> dict[str, Any]:
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as error:
        raise _invalid("it is not JSON in Base64") from error
    if not isinstance(policy, dict):
        raise _invalid("it is not a JSON object")
    return policy


def _parse_expiration(text: object) -> datetime:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise _invalid("its expiration must be in the form 2030-12-31T12:00:00.000Z")


def _malformed() -> S3Error:
    message = "The body of your POST request is not well-formed multipart/form-data."
    return S3Error(400, "MalformedPOSTRequest", message)


def _invalid(reason: str) -> S3Error:
    return S3Error(400, "InvalidPolicyDocument", f"Invalid Policy: {reason}.")


def _forbidden(reason: str) -> S3Error:
    return access_denied(f"Invalid according to Policy: {reason}")
