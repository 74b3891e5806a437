"""Requests to sign, made up by Hypothesis: what botocore and `core.sigv4` both can."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from app.core import sigv4
from app.core.object_url import AddressingStyle
from app.core.query_parameters import AUTH_NAMES
from app.core.sigv4 import Credentials, Method


def is_signable(key: str) -> bool:
    return len(key.encode()) <= 1024 and {".", ".."}.isdisjoint(key.split("/"))


# Any Unicode but control characters (Cc) and lone surrogates (Cs); "/", "." and "%" often.
anything = st.text(st.characters(exclude_categories=("Cc", "Cs")))
keys = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=1024),
    st.text("/.%+ ~*'()!&=?#:@,;$\\é日😀aZ0", min_size=1, max_size=40),
    st.from_regex(r"[a-z]{1,8}/[a-z0-9-]{1,40}\.(png|mp4)", fullmatch=True),
).filter(is_signable)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
moments = st.integers(946_684_800, 4_070_908_800).map(  # 2000 to 2099
    lambda second: datetime.fromtimestamp(second, UTC)
)
expiries = st.integers(1, 604_800)
regions = st.sampled_from(
    ["us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1", "cn-north-1", "sa-east-1"]
)
buckets = st.sampled_from(["photos", "my-photos-2024", "my.photos", "My_Photos", "123", "a" * 63])
credentials = st.sampled_from(
    [
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        Credentials("ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzE/+=" * 25),
    ]
)
# Endpoint, botocore's addressing style, ours.
endpoints: st.SearchStrategy[tuple[str | None, str, AddressingStyle]] = st.sampled_from(
    [
        (None, "virtual", "auto"),
        (None, "virtual", "virtual"),
        (None, "path", "path"),
        ("https://s3.amazonaws.com", "virtual", "auto"),
        ("https://store.example", "auto", "auto"),
        ("https://store.example:8443", "virtual", "virtual"),
        ("http://localhost:9000", "path", "path"),
        ("http://localhost:9000", "virtual", "virtual"),
        ("http://127.0.0.1:9000", "virtual", "virtual"),
        ("http://[::1]:9000", "auto", "auto"),
        ("https://store.example/base/path", "path", "path"),
    ]
)


def is_comparable(target: dict[str, Any]) -> bool:
    """Over plain http, botocore puts even a dotted name before the host, an IP address included.

    Ours is path style there as everywhere.
    """
    endpoint, style, _ = target["endpoint"]
    dotted = "." in target["bucket"]
    return not (dotted and style == "virtual" and (endpoint or "").startswith("http:"))


targets = st.fixed_dictionaries(
    {
        "key": keys,
        "bucket": buckets,
        "region": regions,
        "endpoint": endpoints,
        "credentials": credentials,
        "now": moments,
        "expires_in": expiries,
    }
)

QUERY = {
    "VersionId": "versionId",
    "ResponseContentType": "response-content-type",
    "ResponseContentDisposition": "response-content-disposition",
    "ResponseContentLanguage": "response-content-language",
    "ResponseContentEncoding": "response-content-encoding",
    "ResponseCacheControl": "response-cache-control",
    "PartNumber": "partNumber",
    "UploadId": "uploadId",
}
HEADERS = {
    "ContentType": "Content-Type",
    "ContentLength": "Content-Length",
    "ContentMD5": "Content-MD5",
    "ContentDisposition": "Content-Disposition",
    "CacheControl": "Cache-Control",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "IfNoneMatch": "If-None-Match",
    "ACL": "x-amz-acl",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "x-amz-storage-class",
    "Tagging": "x-amz-tagging",
}
sizes = st.integers(0, 5 * 2**30)
digests = st.binary(min_size=32, max_size=32).map(lambda raw: raw.hex() + "+/=")
dispositions = st.one_of(
    anything,
    anything.map(lambda name: f"attachment; filename=\"a.png\"; filename*=UTF-8''{quote(name)}"),
)
OPERATIONS: dict[str, tuple[Method, dict[str, st.SearchStrategy[Any]]]] = {
    "get_object": (
        "GET",
        {
            "VersionId": anything.filter(bool),
            "PartNumber": st.integers(1, 10_000),
            "ResponseContentType": anything,
            "ResponseContentDisposition": dispositions,
            "ResponseContentLanguage": anything,
            "ResponseContentEncoding": anything,
            "ResponseCacheControl": anything,
        },
    ),
    "put_object": (
        "PUT",
        {
            "ContentType": st.sampled_from(["image/png", "text/plain; charset=utf-8", "a  b"]),
            "ContentLength": sizes,
            "ContentMD5": digests,
            "ContentDisposition": printable,
            "CacheControl": printable,
            "ChecksumSHA256": digests,
            "IfNoneMatch": st.just("*"),
            "ACL": st.sampled_from(["private", "bucket-owner-full-control"]),
            "ServerSideEncryption": st.sampled_from(["AES256", "aws:kms"]),
            "SSEKMSKeyId": printable,
            "StorageClass": st.just("STANDARD_IA"),
            "Tagging": printable,
            "Metadata": st.dictionaries(
                st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True), printable, max_size=3
            ),
        },
    ),
    "upload_part": (
        "PUT",
        {"ContentLength": sizes, "ContentMD5": digests, "ChecksumSHA256": digests},
    ),
    "head_object": ("HEAD", {"VersionId": anything.filter(bool)}),
    "delete_object": ("DELETE", {"VersionId": anything.filter(bool)}),
}

header_names = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(
    lambda name: name.lower() not in sigv4._UNSIGNABLE_HEADERS
)
query_names = st.one_of(
    st.sampled_from([*QUERY.values(), "x-id", "acl", "x-amz-checksum-mode"]),
    st.from_regex(r"[a-z][A-Za-z0-9-]{0,20}", fullmatch=True).filter(
        lambda name: name.lower() not in AUTH_NAMES
    ),
)
