"""Values that S3 refuses: parts by number, copies of ranges, customers' keys, documents.

The cases are our own; ``ceph/s3-tests`` asks for the same. RGW 16.2 knows nothing of a part's
number when it reads, and takes any number when it writes: those run on the embedded store alone.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tests.embedded.steps import Answer, Store, b64, new_key, refused, send, sign_headers

KEY = bytes(range(32))
CUSTOMERS_KEY = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": b64(KEY),
    "x-amz-server-side-encryption-customer-key-md5": b64(hashlib.md5(KEY).digest()),
}
FIRST = b"a" * (5 << 20)


def ask(store: Store, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """A request with any query and headers, signed; underscores stand for hyphens."""
    url = f"{store.endpoint_url}/{path}"
    return send(method, url, body, sign_headers(store, method, url, body, **headers))


def begun(store: Store) -> dict[str, str]:
    """An upload in parts: bucket, key and id."""
    where = {"Bucket": store.bucket, "Key": new_key()}
    return {**where, "UploadId": store.client.create_multipart_upload(**where)["UploadId"]}


def path_of(where: dict[str, str], query: str = "") -> str:
    upload_id = quote(where["UploadId"], safe="")
    return f"{where['Bucket']}/{where['Key']}?uploadId={upload_id}{query}"


def copy(store: Store, source: str, part: str | None = None, **headers: str) -> Answer:
    """A part that is a copy."""
    headers |= {"x_amz_copy_source": source} | (
        {"x_amz_copy_source_range": part} if part is not None else {}
    )
    return ask(store, "PUT", path_of(begun(store), "&partNumber=1"), **headers)


@pytest.mark.parametrize("part", ["bytes=0-21", "bytes=5-5", "bytes=4-5", "bytes=3-2"])
def test_a_copy_of_bytes_that_are_not_there(store: Store, part: str) -> None:
    refused(copy(store, f"/{store.bucket}/{store.put(b'01234')}", part), 416, "InvalidRange")


@pytest.mark.parametrize(
    "part",
    [
        *("0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5"),
        *("bytes=", "", "Bytes=0-1", "bytes= 0-1", "bytes=0--1", "bytes=+0-+1"),
    ],
)
def test_a_copy_of_a_malformed_range(store: Store, part: str) -> None:
    source = f"/{store.bucket}/{store.put(b'01234')}"
    refused(copy(store, source, part), 400, "InvalidArgument")


@pytest.mark.parametrize("part", ["bytes=2-", "bytes=-2"])
def test_a_copy_of_an_open_range(embedded: Store, part: str) -> None:
    # RGW 16.2 refuses the first as InvalidRange, and takes the second.
    source = f"/{embedded.bucket}/{embedded.put(b'01234')}"
    refused(copy(embedded, source, part), 400, "InvalidArgument")


@pytest.mark.parametrize(
    ("part", "copied"),
    [(None, b"01234"), ("bytes=0-4", b"01234"), ("bytes=1-2", b"12"), ("bytes=4-4", b"4")],
)
def test_a_copy_of_a_range(store: Store, part: str | None, copied: bytes) -> None:
    where = begun(store)
    source = {"Bucket": store.bucket, "Key": store.put(b"01234")}
    of = {"CopySourceRange": part} if part else {}
    made = store.client.upload_part_copy(**where, PartNumber=1, CopySource=source, **of)
    parts = [{"PartNumber": 1, "ETag": made["CopyPartResult"]["ETag"]}]
    store.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    del where["UploadId"]
    assert store.client.get_object(**where)["Body"].read() == copied


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("/gate-plain/missing", 404, "NoSuchKey"),
        ("/gate-missing/any", 404, "NoSuchBucket"),
        ("nothing", 400, "InvalidArgument"),
        ("/", 400, "InvalidArgument"),
    ],
)
def test_a_copy_of_nothing(store: Store, source: str, status: int, code: str) -> None:
    refused(copy(store, source), status, code)
    whole = ask(store, "PUT", f"{store.bucket}/{new_key()}", x_amz_copy_source=source)
    refused(whole, status, code)


def test_a_copy_on_a_condition(embedded: Store) -> None:
    # RGW 16.2 copies whatever the condition says.
    key = embedded.put(b"01234")
    etag = embedded.client.head_object(Bucket=embedded.bucket, Key=key)["ETag"]
    source = f"/{embedded.bucket}/{key}"
    assert copy(embedded, source, x_amz_copy_source_if_match=etag).status == 200
    assert copy(embedded, source, x_amz_copy_source_if_none_match='"other"').status == 200
    for name, value in (("if_match", '"other"'), ("if_none_match", etag)):
        answer = copy(embedded, source, **{f"x_amz_copy_source_{name}": value})
        refused(answer, 412, "PreconditionFailed")


@pytest.mark.parametrize("number", ["abc", "", "1.5"])
def test_a_part_without_a_number(store: Store, number: str) -> None:
    answer = ask(store, "PUT", path_of(begun(store), f"&partNumber={number}"), b"x")
    refused(answer, 400, "InvalidArgument")
    refused(ask(store, "PUT", path_of(begun(store)), b"x"), 400, "InvalidArgument")


@pytest.mark.parametrize("number", ["0", "-1", "10001", "99999999999999999999"])
def test_a_part_of_another_number(embedded: Store, number: str) -> None:
    answer = ask(embedded, "PUT", path_of(begun(embedded), f"&partNumber={number}"), b"x")
    refused(answer, 400, "InvalidArgument")
    read = f"{embedded.bucket}/{embedded.put()}?partNumber={number}"
    refused(ask(embedded, "GET", read), 400, "InvalidArgument")
    assert ask(embedded, "HEAD", read).status == 400


def test_an_object_without_parts_is_its_own_first(embedded: Store) -> None:
    client, where = embedded.client, {"Bucket": embedded.bucket, "Key": embedded.put(b"body")}
    for read in (client.get_object, client.head_object):
        got = read(**where, PartNumber=1)
        assert (got["ContentLength"], got["ContentRange"]) == (4, "bytes 0-3/4")
        assert "PartsCount" not in got
    assert client.get_object(**where, PartNumber=1)["Body"].read() == b"body"
    path = f"{where['Bucket']}/{where['Key']}?partNumber=2"
    refused(ask(embedded, "GET", path), 400, "InvalidPart")
    assert ask(embedded, "HEAD", path).status == 400
    empty = ask(embedded, "GET", f"{embedded.bucket}/{embedded.put(b'')}?partNumber=1")
    assert (empty.status, empty.body) == (200, b"")
    refused(ask(embedded, "GET", f"{embedded.bucket}/missing?partNumber=1"), 404, "NoSuchKey")
    refused(ask(embedded, "GET", "gate-missing/any?partNumber=1"), 404, "NoSuchBucket")


def test_an_object_is_read_by_its_parts(embedded: Store) -> None:
    client, where = embedded.client, begun(embedded)
    bodies = {1: FIRST, 2: b"not joined", 7: b"last"}
    etags = {
        number: client.upload_part(**where, PartNumber=number, Body=body)["ETag"]
        for number, body in bodies.items()
    }
    refused(ask(embedded, "GET", path_of(where).split("?")[0] + "?partNumber=1"), 404, "NoSuchKey")
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in (1, 7)]
    whole = client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})["ETag"]
    del where["UploadId"]
    for number in (1, 7):
        got = client.get_object(**where, PartNumber=number)
        assert got["Body"].read() == bodies[number]
        head = client.head_object(**where, PartNumber=number)
        for answer in (got, head):
            assert (answer["PartsCount"], answer["ETag"]) == (2, whole)
            assert answer["ContentLength"] == len(bodies[number])
    path = f"{where['Bucket']}/{where['Key']}?partNumber="
    refused(ask(embedded, "GET", f"{path}2"), 400, "InvalidPart")
    refused(ask(embedded, "GET", f"{path}1", Range="bytes=0-1"), 400, "InvalidRequest")


def joined(store: Store, where: dict[str, str], document: str) -> Answer:
    return ask(store, "POST", path_of(where), document.encode())


@pytest.mark.parametrize(
    "document",
    [
        *("", "rubbish", "<CompleteMultipartUpload/>", "<CompleteMultipartUpload><Part>", "<a/>"),
        "<a><Part><PartNumber>1</PartNumber><ETag>ETAG</ETag></Part></a>",
        "<CompleteMultipartUpload><Part><ETag>ETAG</ETag></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
    ],
)
def test_joining_no_parts(store: Store, document: str) -> None:
    where = begun(store)
    etag = store.client.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]
    refused(joined(store, where, document.replace("ETAG", etag)), 400, "MalformedXML")
    assert len(store.client.list_parts(**where)["Parts"]) == 1


def test_joining_parts_that_are_not_there(store: Store) -> None:
    where = begun(store)
    etag = store.client.upload_part(**where, PartNumber=1, Body=b"x")["ETag"]
    for part in ({"PartNumber": 2, "ETag": etag}, {"PartNumber": 1, "ETag": f'"{"f" * 32}"'}):
        with pytest.raises(ClientError, match="InvalidPart"):
            store.client.complete_multipart_upload(**where, MultipartUpload={"Parts": [part]})


def test_joining_parts_out_of_order(embedded: Store) -> None:
    # RGW 16.2 puts them in order.
    where = begun(embedded)
    parts = [
        {
            "PartNumber": number,
            "ETag": embedded.client.upload_part(**where, PartNumber=number, Body=FIRST)["ETag"],
        }
        for number in (2, 1)
    ]
    for wrong in (parts, [parts[1], parts[1]]):
        with pytest.raises(ClientError, match="InvalidPartOrder"):
            embedded.client.complete_multipart_upload(**where, MultipartUpload={"Parts": wrong})


def test_customers_keys_over_plain_http(store: Store) -> None:
    headers = {name.replace("-", "_"): value for name, value in CUSTOMERS_KEY.items()}
    for leave_out in ("", "_md5", "_key"):
        sent = {n: v for n, v in headers.items() if not leave_out or leave_out not in n[-8:]}
        refused(ask(store, "PUT", f"{store.bucket}/{new_key()}", b"x", **sent), 400)
    refused(ask(store, "POST", f"{store.bucket}/{new_key()}?uploads", **headers), 400)
    refused(store.post(store.presign_post(new_key(), CUSTOMERS_KEY)), 400, "InvalidRequest")


def test_customers_keys_of_reads_parts_and_copies(embedded: Store) -> None:
    # RGW 16.2 ignores them here.
    headers = {name.replace("-", "_"): value for name, value in CUSTOMERS_KEY.items()}
    path = f"{embedded.bucket}/{embedded.put()}"
    refused(ask(embedded, "GET", path, **headers), 400, "InvalidRequest")
    assert ask(embedded, "HEAD", path, **headers).status == 400
    part = path_of(begun(embedded), "&partNumber=1")
    refused(ask(embedded, "PUT", part, b"x", **headers), 400, "InvalidRequest")
    of_source = {n.replace("x_amz_", "x_amz_copy_source_"): v for n, v in headers.items()}
    answer = copy(embedded, f"/{path}", **of_source)
    refused(answer, 400, "InvalidRequest")


@pytest.mark.parametrize("query", ["tagging", "cors", "lifecycle", "publicAccessBlock", "delete"])
@pytest.mark.parametrize("document", [b"", b"rubbish", b"<unclosed>"])
def test_documents_that_are_none(store: Store, query: str, document: bytes) -> None:
    path = f"{store.other}/any" if query == "tagging" else store.other
    if query == "tagging":
        store.put(Bucket=store.other, Key="any")
    method = "POST" if query == "delete" else "PUT"
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    refused(ask(store, method, f"{path}?{query}", document, Content_MD5=md5), 400)


@pytest.mark.parametrize(
    ("query", "document", "code"),
    [
        ("policy", b"rubbish", "MalformedPolicy"),
        ("policy", b"[]", "MalformedPolicy"),
        ("versioning", b"<VersioningConfiguration/>", "MalformedXML"),
        ("lifecycle", b"<other/>", "MalformedXML"),
        ("tagging", b"<other/>", "MalformedXML"),
        ("encryption", b"<other/>", "MalformedXML"),
        ("ownershipControls", b"<other/>", "MalformedXML"),
        ("cors", b"<CORSConfiguration><CORSRule/></CORSConfiguration>", "MalformedXML"),
        ("cors", b" " * (5 << 20), "MalformedXML"),
    ],
)
def test_documents_of_another_kind(embedded: Store, query: str, document: bytes, code: str) -> None:
    # RGW 16.2 takes some, and has other codes.
    refused(ask(embedded, "PUT", f"{embedded.other}?{query}", document), 400, code)


@pytest.mark.parametrize(
    "rule",
    [
        {"AllowedOrigins": ["https://*.*.example"], "AllowedHeaders": ["*"]},
        {"AllowedOrigins": ["https://app.example"], "AllowedHeaders": ["x-*-*"]},
        {"AllowedOrigins": [""], "AllowedHeaders": ["*"]},
    ],
)
def test_rules_with_more_than_one_star(store: Store, rule: dict[str, Any]) -> None:
    rules = {"CORSRules": [{**rule, "AllowedMethods": ["GET"]}]}
    with pytest.raises(ClientError) as refusal:
        store.client.put_bucket_cors(Bucket=store.other, CORSConfiguration=rules)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "query",
    ["max-keys=abc", "list-type=2&max-keys=abc", "versions&max-keys=x", "uploads&max-uploads=x"],
)
def test_lists_of_no_number(store: Store, query: str) -> None:
    refused(ask(store, "GET", f"{store.bucket}?{query}"), 400, "InvalidArgument")


@pytest.mark.parametrize("query", ["&max-parts=abc", "&part-number-marker=abc"])
def test_lists_of_parts_of_no_number(store: Store, query: str) -> None:
    refused(ask(store, "GET", path_of(begun(store), query)), 400, "InvalidArgument")


def test_a_list_that_goes_on_from_nowhere(embedded: Store) -> None:
    # RGW 16.2 takes any key for a token.
    answer = ask(embedded, "GET", f"{embedded.bucket}?list-type=2&continuation-token=zzz")
    refused(answer, 400, "InvalidArgument")


@pytest.mark.parametrize(
    ("header", "value"),
    [("If_Modified_Since", "rubbish"), ("If_Unmodified_Since", "rubbish")],
)
def test_dates_that_are_none(store: Store, header: str, value: str) -> None:
    path = f"{store.bucket}/{store.put()}"
    refused(ask(store, "GET", path, **{header: value}), 400, "InvalidArgument")


def test_acls_that_are_none(store: Store) -> None:
    path = f"{store.bucket}/{new_key()}"
    refused(ask(store, "PUT", path, b"x", x_amz_acl="rubbish"), 400, "InvalidArgument")


@pytest.mark.parametrize("value", ["x", "bytes", "octets=0-1", "bytes=a-b", "bytes=1-2-3"])
def test_ranges_that_are_none_are_ignored(embedded: Store, value: str) -> None:
    # RGW 16.2 reads a number into some of them.
    key = embedded.put(b"01234")
    for method in ("GET", "HEAD"):
        answer = ask(embedded, method, f"{embedded.bucket}/{key}", Range=value)
        assert (answer.status, answer.headers["Content-Length"]) == (200, "5")


def test_the_version_of_a_bucket_without_versions(store: Store) -> None:
    path = f"{store.bucket}/{store.put()}?versionId="
    for method in ("GET", "HEAD"):
        assert ask(store, method, f"{path}null").status == 200
        assert ask(store, method, f"{path}{'0' * 32}").status == 404
