"""Instructions allow one upload, and no other.

Every case ends with the honest upload, so that nothing but the change was what got refused.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.contract.flow import (
    Edit,
    Flow,
    edited,
    error_code,
    flipped,
    problem,
    refused,
    replacing,
    turned_away,
)
from tests.contract.stores import OTHER, Feature, having, lacking, sending
from tests.support.steps import without_length

other_bucket = replacing(r"(//[^/]+/[^/?]+)", rf"\1{OTHER}")
MISMATCH = "SignatureDoesNotMatch"


def another_second(text: str) -> str:
    """A timestamp moved within its minute: the day, and so the signing key, stays."""
    return re.sub(r"(T\d{5})(\d)Z", lambda m: f"{m[1]}{(int(m[2]) + 1) % 10}Z", text, count=1)


async def only_honest_instructions_work(flow: Flow, upload: dict[str, Any]) -> None:
    assert not flow.store.holds(upload["key"])
    problem(await flow.confirm(upload), 409, "upload-not-arrived")
    assert (await flow.send(upload["upload"])).is_success
    assert (await flow.confirm(upload)).status_code == 200


# --- PUT


@having()
@pytest.mark.parametrize(
    "url",
    [
        pytest.param(flipped, id="signature"),
        pytest.param(replacing("--a.txt", "--b.txt"), id="key"),
        pytest.param(other_bucket, id="bucket"),
        pytest.param(replacing("X-Amz-Expires=3600", "X-Amz-Expires=7200"), id="expiry"),
        pytest.param(another_second, id="date"),
        pytest.param(replacing("(X-Amz-Algorithm)", r"acl&\1"), id="subresource"),
        pytest.param(replacing("(X-Amz-Algorithm)", r"uploadId=1&partNumber=1&\1"), id="part"),
    ],
)
async def test_put_to_another_url(flow: Flow, url: Callable[[str], str]) -> None:
    upload = await flow.announce("put")
    answer = await flow.send(edited(upload["upload"], {}, url))
    if answer.status_code == 501:
        # Swift answers ?acl before it looks further, by having none.
        assert not flow.kind.has(Feature.SUBRESOURCES)
    else:
        refused(answer, 403, MISMATCH)
    await only_honest_instructions_work(flow, upload)


@having()
@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ({"content-type": "text/html"}, MISMATCH),
        ({"x-amz-meta-claimcheck-id": "01a204d5-0000-7000-8000-000000000000"}, MISMATCH),
        # The stores disagree on the code for a signed header that is not there.
        ({"content-type": None}, None),
        ({"x-amz-meta-claimcheck-id": None}, None),
    ],
    ids=["type", "id", "no type", "no id"],
)
async def test_put_with_other_headers(
    flow: Flow, edits: Mapping[str, Edit], code: str | None
) -> None:
    upload = await flow.announce("put")
    refused(await flow.send(edited(upload["upload"], edits)), 403, code)
    await only_honest_instructions_work(flow, upload)


@having(Feature.CONDITIONAL_WRITES)
async def test_put_without_its_condition(flow: Flow) -> None:
    upload = await flow.announce("put")
    refused(await flow.send(edited(upload["upload"], {"if-none-match": None})), 403)
    await only_honest_instructions_work(flow, upload)


@having()
@pytest.mark.parametrize("data", [b"hell", b"hello!", b""], ids=["smaller", "larger", "empty"])
async def test_put_of_another_size(flow: Flow, data: bytes) -> None:
    upload = await flow.announce("put")
    refused(await flow.send(upload["upload"], data), 403, MISMATCH)
    await only_honest_instructions_work(flow, upload)


@having()
async def test_a_put_url_does_nothing_but_put(flow: Flow) -> None:
    upload = await flow.announce("put")
    url = upload["upload"]["url"]
    for method in ("GET", "DELETE", "POST"):
        response = await flow.web.request(
            method, url, headers=without_length(upload["upload"]["headers"])
        )
        assert response.status_code == (flow.kind.post_to_key if method == "POST" else 403)
    if flow.kind.has(Feature.HONEST_HEADS):
        assert (await flow.web.head(url)).status_code == 403
    await only_honest_instructions_work(flow, upload)


SMUGGLED = {
    "x-amz-acl": "public-read",
    "x-amz-meta-more": "mine",
    "x-amz-tagging": "a=b",
    "x-amz-storage-class": "STANDARD",
    "x-amz-copy-source": "/contract/any",
}


@having(Feature.SIGNED_HEADERS_ONLY)
@pytest.mark.parametrize("header", SMUGGLED)
async def test_put_with_an_unsigned_header(flow: Flow, header: str) -> None:
    upload = await flow.announce("put")
    smuggling = edited(upload["upload"], {header: SMUGGLED[header]})
    # S3 has AccessDenied, SeaweedFS another signature; Swift has no tags, and one storage class.
    answer = await flow.send(smuggling)
    if not flow.kind.has(Feature.SUBRESOURCES) and header in {
        "x-amz-tagging",
        "x-amz-storage-class",
    }:
        assert answer.status_code in {200, 501}
        return
    refused(answer, 403)
    await only_honest_instructions_work(flow, upload)


SMUGGLED_SERVING = {
    "content-disposition": 'attachment; filename="invoice.exe"',
    "content-encoding": "gzip",
    "content-language": "de",
    "cache-control": "public, max-age=31536000",
}


@having()
@pytest.mark.parametrize("header", SMUGGLED_SERVING)
async def test_put_with_an_unsigned_header_that_would_be_served(flow: Flow, header: str) -> None:
    upload = await flow.announce("put")
    smuggling = edited(upload["upload"], {header: SMUGGLED_SERVING[header]})
    # No store refuses it: it is none of S3's own headers.
    assert (await flow.send(smuggling)).is_success
    head = flow.store.owner.head_object(Bucket=flow.store.bucket, Key=upload["key"])
    confirmed = await flow.confirm(upload)
    if header not in head["ResponseMetadata"]["HTTPHeaders"]:
        assert confirmed.status_code == 200  # the store has not kept it
    else:
        assert header in problem(confirmed, 422, "upload-rejected")
        assert not flow.store.holds(upload["key"])


@lacking(Feature.SIGNED_HEADERS_ONLY)
async def test_an_unsigned_acl_is_taken_and_opens_nothing(flow: Flow) -> None:
    upload = await flow.announce("put")
    smuggling = edited(upload["upload"], {"x-amz-acl": "public-read"})
    assert (await flow.send(smuggling)).status_code == 200
    assert (await flow.confirm(upload)).status_code == 200
    # IgnorePublicAcls is what keeps it private.
    turned_away(flow, await flow.web.get(upload["url"]))


@lacking(Feature.SIGNED_HEADERS_ONLY)
async def test_an_unsigned_copy_source_reads_another_file(flow: Flow) -> None:
    """Why a destination on such a store should use forms: a PUT becomes the service's own copy."""
    secret = await flow.file("put", b"their")
    upload = await flow.announce("put", b"mine!")
    smuggling = edited(
        upload["upload"],
        {
            "x-amz-copy-source": f"/{flow.store.bucket}/{secret['key']}",
            "x-amz-metadata-directive": "REPLACE",
        },
    )
    assert (await flow.send(smuggling, b"mine!")).status_code == 200
    copied = (await flow.confirm(upload)).json()
    assert await flow.read(copied["presigned_url"]) == b"their"


@lacking(Feature.SIGNED_HEADERS_ONLY)
async def test_an_unsigned_copy_source_in_a_part_reads_another_file(flow: Flow) -> None:
    """Only where no length is signed, as in Uppy's parts; `unsized_parts = false` refuses those."""
    secret = await flow.file("put", b"their")
    copying = {"x-amz-copy-source": f"/{flow.store.bucket}/{secret['key']}"}
    upload = await flow.announce("multipart", b"mine!")
    [part] = upload["upload"]["parts"]
    refused(await flow.web.put(part["url"], headers=copying, content=b"mine!"), 400)
    assert (await flow.send(upload["upload"], b"mine!")).is_success
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == b"mine!"

    wish = {"filename": "a.txt", "type": "text/plain"}
    started = (await flow.api.post("/uppy/to/multipart/s3/multipart", json=wish)).json()
    unsized = f"/uppy/s3/multipart/{started['uploadId']}"
    url = (await flow.api.get(f"{unsized}/1")).json()["url"]
    assert (await flow.web.put(url, headers=copying)).status_code == 200
    parts = {"parts": [{"PartNumber": 1, "ETag": "x"}]}
    assert (await flow.api.post(f"{unsized}/complete", json=parts)).status_code == 200
    copied = (await flow.api.get(f"/v1/files/{started['uploadId']}")).json()
    assert await flow.read(copied["presigned_url"]) == b"their"
    answer = await flow.api.post("/uppy/to/chosen/s3/multipart", json=wish)
    problem(answer, 422, "parts-not-offered")


# --- POST


def prolonged(policy: str) -> str:
    document = json.loads(base64.b64decode(policy))
    return base64.b64encode(
        json.dumps(document | {"expiration": "2099-01-01T00:00:00Z"}).encode()
    ).decode()


def opened(policy: str) -> str:
    document = json.loads(base64.b64decode(policy)) | {"conditions": []}
    return base64.b64encode(json.dumps(document).encode()).decode()


AUTH = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
FORGED: dict[str, dict[str, Edit]] = {
    "signature": {"x-amz-signature": flipped},
    "longer": {"policy": prolonged},
    "without conditions": {"policy": opened},
    "no policy": {"policy": None},
    "unsigned": dict.fromkeys(AUTH),
    "access key": {"x-amz-credential": lambda credential: "X" + credential[1:]},
}
FORBIDDEN: dict[str, dict[str, Edit]] = {
    "key": {"key": replacing("--a.txt", "--b.txt")},
    "key from the file's name": {"key": replacing("--a.txt", "--${filename}")},
    "type": {"content-type": "text/html"},
    "no type": {"content-type": None},
    "id": {"x-amz-meta-claimcheck-id": "01a204d5-0000-7000-8000-000000000000"},
    "no id": {"x-amz-meta-claimcheck-id": None},
    "date": {"x-amz-date": another_second},
    "status": {"success_action_status": "200"},
    "redirect": {"success_action_redirect": "http://evil.example/"},
    "acl": {"acl": "public-read"},
    "x-amz-acl": {"x-amz-acl": "public-read"},
    "more metadata": {"x-amz-meta-more": "mine"},
    "tags": {"tagging": "<Tagging><TagSet/></Tagging>"},
    "header": {"cache-control": "no-store"},
    "unknown field": {"colour": "red"},
}


@having(Feature.FORMS)
@pytest.mark.parametrize("case", FORGED)
async def test_a_form_that_is_not_signed_so(flow: Flow, case: str) -> None:
    upload = await flow.announce("post")
    answer = await flow.send(edited(upload["upload"], FORGED[case]))
    # RGW has AccessDenied for all of them, S3 SignatureDoesNotMatch for some; SeaweedFS finds what
    # is not signed at all malformed.
    assert answer.status_code in ({400, 403} if case == "unsigned" else {403}), answer.text
    await only_honest_instructions_work(flow, upload)


HARMLESS = ("no-store", "no-cache")
MORE = ("redirect", "acl", "tags", "header", "unknown field")


@having(Feature.FORMS)
@pytest.mark.parametrize("case", [case for case in FORBIDDEN if case not in MORE])
async def test_a_form_that_the_policy_forbids(flow: Flow, case: str) -> None:
    upload = await flow.announce("post")
    refused(await flow.send(edited(upload["upload"], FORBIDDEN[case])), 403, "AccessDenied")
    await only_honest_instructions_work(flow, upload)


@having(Feature.FORMS, Feature.STRICT_FORMS)
@pytest.mark.parametrize("case", MORE)
async def test_a_form_with_more_than_the_policy_names(flow: Flow, case: str) -> None:
    upload = await flow.announce("post")
    refused(await flow.send(edited(upload["upload"], FORBIDDEN[case])), 403, "AccessDenied")
    await only_honest_instructions_work(flow, upload)


@lacking(Feature.STRICT_FORMS, Feature.FORMS)
@pytest.mark.parametrize("case", ["header", "acl"])
async def test_a_form_with_more_is_taken_and_opens_nothing(flow: Flow, case: str) -> None:
    upload = await flow.announce("post")
    assert (await flow.send(edited(upload["upload"], FORBIDDEN[case]))).status_code == 201
    head = flow.store.owner.head_object(Bucket=flow.store.bucket, Key=upload["key"])
    confirmed = await flow.confirm(upload)
    if "CacheControl" in head and head["CacheControl"] not in HARMLESS:
        assert "cache-control" in problem(confirmed, 422, "upload-rejected")
    else:
        assert confirmed.status_code == 200
    turned_away(flow, await flow.web.get(upload["url"]))


@having(Feature.FORMS)
async def test_a_form_to_another_bucket(flow: Flow) -> None:
    upload = await flow.announce("post")
    elsewhere = edited(upload["upload"], {}, other_bucket)
    refused(await flow.send(elsewhere), 403, "AccessDenied")
    named = edited(elsewhere, {"bucket": flow.store.bucket + OTHER})
    refused(await flow.send(named), 403, "AccessDenied")
    # The URL names the bucket; RGW does not even look at a field that says otherwise.
    await flow.send(edited(upload["upload"], {"bucket": flow.store.bucket + OTHER}))
    elsewhere_now = flow.store.owner.list_objects_v2(Bucket=flow.store.bucket + OTHER)
    assert elsewhere_now["KeyCount"] == 0
    upload = await flow.announce("post")
    await only_honest_instructions_work(flow, upload)


@having(Feature.FORMS)
async def test_a_form_without_its_signature(flow: Flow) -> None:
    upload = await flow.announce("post")
    response = await flow.send(edited(upload["upload"], {"x-amz-signature": None}))
    # RGW misses a field, the gate a signature; both refuse.
    # SeaweedFS finds it wrong.
    answer = (response.status_code, error_code(response))
    assert answer in {(400, "InvalidArgument"), (403, "AccessDenied"), (403, MISMATCH)}
    await only_honest_instructions_work(flow, upload)


@having(Feature.FORMS)
@pytest.mark.parametrize(
    ("data", "code"),
    [(b"hell", "EntityTooSmall"), (b"", "EntityTooSmall"), (b"hello!", "EntityTooLarge")],
    ids=["smaller", "empty", "larger"],
)
async def test_a_form_of_another_size(flow: Flow, data: bytes, code: str) -> None:
    upload = await flow.announce("post")
    refused(await flow.send(upload["upload"], data), 400, code)
    await only_honest_instructions_work(flow, upload)


# --- Time


@sending()
async def test_instructions_end(flow: Flow, method: str) -> None:
    with flow.clock.ahead(seconds=-3610):
        upload = await flow.announce(method)
    refused(await flow.send(upload["upload"]), *flow.kind.expired)
    assert not flow.store.holds(upload["key"])
    renewed = await flow.api.post(f"/v1/uploads/{upload['id']}/renew")
    assert (renewed.status_code, renewed.json()["key"]) == (200, upload["key"])
    assert (await flow.send(renewed.json()["upload"])).is_success
    assert (await flow.confirm(upload)).status_code == 200


@sending()
async def test_instructions_last(flow: Flow, method: str) -> None:
    with flow.clock.ahead(seconds=-3540):
        upload = await flow.announce(method)
    assert (await flow.send(upload["upload"])).is_success


@having(Feature.FUTURE_REFUSED)
async def test_a_put_before_its_time(flow: Flow) -> None:
    with flow.clock.ahead(hours=2):
        upload = await flow.announce("put")
    refused(await flow.send(upload["upload"]), 403, "AccessDenied")
    assert not flow.store.holds(upload["key"])


@lacking(Feature.FUTURE_REFUSED)
async def test_a_put_before_its_time_is_taken(flow: Flow) -> None:
    with flow.clock.ahead(hours=2):
        upload = await flow.announce("put")
    assert (await flow.send(upload["upload"])).status_code == 200


@having(Feature.FORMS)
async def test_a_policy_has_an_end_and_no_beginning(flow: Flow) -> None:
    with flow.clock.ahead(hours=2):
        upload = await flow.announce("post")
    assert (await flow.send(upload["upload"])).status_code == 201
