"""Refuses values that S3 refuses, and moto would take or fail on.

Sources: the S3 API reference of each operation; what `ceph/s3-tests` expects; RFC 9110 for ranges
and dates. Names of headers are in lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from app.embedded.s3_error import S3Error, invalid_argument

_ACLS = {
    *("private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read"),
    *("bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"),
}
_ENCRYPTIONS = {"AES256", "aws:kms", "aws:kms:dsse"}
_DATES = ("if-modified-since", "if-unmodified-since")
_COUNTS = ("max-keys", "max-parts", "max-uploads", "part-number-marker")
_RANGE = re.compile(r"bytes=([0-9]+-[0-9]*|-[0-9]+)")
_COPY_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")
_MAX_PARTS = 10_000


class CopySource(NamedTuple):
    """The object that a request copies, or the first and last byte of what it copies of it."""

    bucket: str
    key: str
    version_id: str | None
    range: tuple[int, int] | None


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises S3Error (400) for a header whose value S3 does not take."""
    if any("server-side-encryption-customer-" in name for name in headers):
        message = (
            "Requests specifying Server Side Encryption with Customer provided keys must be made "
            "over a secure connection."
        )
        raise S3Error(400, "InvalidRequest", message)
    encryption = headers.get("x-amz-server-side-encryption")
    if encryption and encryption not in _ENCRYPTIONS:
        message = "The encryption request you specified is not valid. Supported value: AES256."
        raise S3Error(400, "InvalidEncryptionAlgorithmError", message)
    if headers.get("x-amz-acl", "private") not in _ACLS:
        raise invalid_argument("x-amz-acl names no canned ACL.")
    for name in _DATES:
        try:
            parsedate_to_datetime(headers.get(name, "Thu, 01 Jan 1970 00:00:00 GMT"))
        except ValueError as error:
            raise invalid_argument(f"{name} must be a date of HTTP.") from error


def check_parameters(method: str, parameters: Mapping[str, str]) -> None:
    """Raises S3Error (400) for a parameter of the query whose value S3 does not take."""
    for name in _COUNTS:
        if not re.fullmatch("[0-9]{1,9}", parameters.get(name, "0")):
            raise invalid_argument(f"{name} must be a whole number, and no negative one.")
    number = parameters.get("partNumber")
    if number is not None and not (
        re.fullmatch("[0-9]{1,5}", number) and 1 <= int(number) <= _MAX_PARTS
    ):
        message = f"Part number must be an integer between 1 and {_MAX_PARTS}, inclusive"
        raise invalid_argument(message)
    if method == "PUT" and "uploadId" in parameters and number is None:
        raise invalid_argument("A part needs its partNumber.")


def copy_source(headers: Mapping[str, str]) -> CopySource | None:
    """The source of a copy, None where the request is none.

    Raises S3Error (400) where it is no `/bucket/key`, or its range no `bytes=first-last`.
    """
    source = headers.get("x-amz-copy-source")
    if source is None:
        return None
    path, _, query = source.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument("x-amz-copy-source must be /bucket/key, percent-encoded.")
    version_id = query.removeprefix("versionId=") if query.startswith("versionId=") else None
    part = headers.get("x-amz-copy-source-range")
    if part is None:
        return CopySource(bucket, key, version_id, None)
    match = _COPY_RANGE.fullmatch(part)
    if match is None:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy"
        )
        raise invalid_argument(message)
    return CopySource(bucket, key, version_id, (int(match[1]), int(match[2])))


def without_unreadable_range(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, less a Range of no single range in bytes, which is ignored (RFC 9110, 14.2)."""
    ignored = not _RANGE.fullmatch(headers.get("range", "bytes=0-"))
    return {name: value for name, value in headers.items() if not (ignored and name == "range")}


def check_document(parameters: Mapping[str, str], document: bytes) -> None:
    """Raises S3Error (400) for a document that cannot be parsed, or lacks what it is sent for."""
    if "policy" in parameters:
        try:
            policy = json.loads(document)
        except ValueError:
            policy = None
        if not isinstance(policy, dict):
            message = "Policies must be valid JSON and the first byte must be '{'"
            raise S3Error(400, "MalformedPolicy", message)
        return
    try:
        root = ElementTree.fromstring(document)  # noqa: S314  of a developer's own machine
    except ElementTree.ParseError as error:
        raise malformed_xml() from error
    if "uploadId" in parameters:
        _check_parts(root)
    elif "cors" in parameters:
        _check_cors(root)
    elif "versioning" in parameters and root.findtext("{*}Status") not in ("Enabled", "Suspended"):
        raise malformed_xml()


def malformed_xml() -> S3Error:
    """400 for a document that is not what S3's schema says."""
    message = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return S3Error(400, "MalformedXML", message)


def _check_parts(root: ElementTree.Element) -> None:
    parts = root.findall("{*}Part")
    if _name(root) != "CompleteMultipartUpload" or not 1 <= len(parts) <= _MAX_PARTS:
        raise malformed_xml()
    for part in parts:
        number, etag = part.findtext("{*}PartNumber", ""), part.findtext("{*}ETag", "")
        if not re.fullmatch(r"\s*[0-9]{1,9}\s*", number) or not etag.strip():
            raise malformed_xml()


def _check_cors(root: ElementTree.Element) -> None:
    """`*` stands once in an origin or a header (AWS, API/API_CORSRule)."""
    for rule in root.findall("{*}CORSRule"):
        if not rule.findall("{*}AllowedOrigin") or not rule.findall("{*}AllowedMethod"):
            raise malformed_xml()
        for element in rule:
            text = element.text or ""
            if _name(element) in ("AllowedOrigin", "AllowedHeader") and text.count("*") > 1:
                message = f'{_name(element)} "{text}" can not have more than one wildcard.'
                raise S3Error(400, "InvalidRequest", message)
            if _name(element) == "AllowedOrigin" and not text:
                raise malformed_xml()


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
