"""CORS on every store: the page's origin may send and read, a foreign one may not."""

import httpx
import pytest

from tests.contract.flow import Flow, Instructions, edited, refused
from tests.contract.stores import Feature, having, lacking
from tests.support.service import ORIGIN
from tests.support.steps import without_length

FOREIGN = "http://evil.example"
ALLOWED = "access-control-allow-origin"


def listed(response: httpx.Response, header: str) -> set[str]:
    value = response.headers.get(f"access-control-{header}", "")
    return {item.strip().lower() for item in value.split(",") if item.strip()}


async def preflight(
    flow: Flow, origin: str, method: str, instructions: Instructions
) -> httpx.Response:
    """The preflight of a browser that is to follow the instructions."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    if sent := without_length(instructions.get("headers", {})):
        # Browsers send the names sorted, in lower case, without blanks (Fetch, section 4.8).
        headers["Access-Control-Request-Headers"] = ",".join(sorted(sent))
    return await flow.web.options(instructions["url"], headers=headers)


async def from_page(
    flow: Flow, origin: str, instructions: Instructions, data: bytes = b"hello"
) -> httpx.Response:
    """The upload itself, as a browser sends it from a page of that origin."""
    headers = {"Origin": origin, **without_length(instructions.get("headers", {}))}
    if instructions["method"] == "PUT":
        return await flow.web.put(instructions["url"], headers=headers, content=data)
    return await flow.web.post(
        instructions["url"],
        headers=headers,
        data=instructions["fields"],
        files={"file": ("file", data)},
    )


# --- Preflights


@having(Feature.CORS_RULES)
async def test_preflight_of_a_put(flow: Flow) -> None:
    instructions = (await flow.announce("put", checksum_sha256="A" * 43 + "="))["upload"]
    allowed = await preflight(flow, ORIGIN, "PUT", instructions)
    assert (allowed.status_code, allowed.headers[ALLOWED]) == (200, ORIGIN)
    assert "put" in listed(allowed, "allow-methods")
    assert set(without_length(instructions["headers"])) <= listed(allowed, "allow-headers")
    assert "origin" in allowed.headers["vary"].lower()
    assert allowed.headers["access-control-max-age"] == "3600"
    foreign = await preflight(flow, FOREIGN, "PUT", instructions)
    refused(foreign)
    assert ALLOWED not in foreign.headers


@having(Feature.CORS_RULES, Feature.BUCKET_PREFLIGHTS)
async def test_preflight_of_a_form(flow: Flow) -> None:
    instructions = (await flow.announce("post"))["upload"]
    allowed = await preflight(flow, ORIGIN, "POST", instructions)
    assert (allowed.status_code, allowed.headers[ALLOWED]) == (200, ORIGIN)
    assert "post" in listed(allowed, "allow-methods")
    foreign = await preflight(flow, FOREIGN, "POST", instructions)
    refused(foreign)
    assert ALLOWED not in foreign.headers


@having(Feature.CORS_RULES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_preflight_of_a_read(flow: Flow, method: str) -> None:
    link = {"url": (await flow.file("put"))["presigned_url"], "headers": {"range": "bytes=0-1"}}
    allowed = await preflight(flow, ORIGIN, method, link)
    assert (allowed.status_code, allowed.headers[ALLOWED]) == (200, ORIGIN)
    assert listed(allowed, "allow-headers") >= {"range"}
    foreign = await preflight(flow, FOREIGN, method, link)
    refused(foreign)
    assert ALLOWED not in foreign.headers


@having(Feature.CORS_RULES)
async def test_preflight_of_what_no_page_needs(flow: Flow) -> None:
    upload = await flow.announce("put")
    answer = await preflight(flow, ORIGIN, "DELETE", {"url": upload["upload"]["url"]})
    assert answer.status_code == flow.kind.unruled_preflight
    assert not listed(answer, "allow-methods") & {"delete", "*"}


@having(Feature.CORS_RULES)
async def test_no_preflight_at_all(flow: Flow) -> None:
    response = await flow.web.options((await flow.announce("put"))["upload"]["url"])
    assert response.status_code == flow.kind.bare_preflight
    assert ALLOWED not in response.headers


# --- Answers


@having(Feature.CORS_RULES)
@pytest.mark.parametrize("method", ["post", "put"])
async def test_the_page_reads_the_answer_to_its_upload(flow: Flow, method: str) -> None:
    upload = await flow.announce(method)
    answer = await from_page(flow, ORIGIN, upload["upload"])
    assert answer.is_success
    assert answer.headers[ALLOWED] == ORIGIN
    assert listed(answer, "expose-headers") >= {"etag", "x-amz-version-id"}
    # CORS keeps a page from reading; it keeps nobody who has instructions from sending.
    foreign = await from_page(flow, FOREIGN, (await flow.announce(method))["upload"])
    assert foreign.is_success
    assert ALLOWED not in foreign.headers


@having(Feature.CORS_RULES)
async def test_the_page_reads_the_file(flow: Flow) -> None:
    url = (await flow.file("put"))["presigned_url"]
    mine, foreign, none = [
        await flow.web.get(url, headers={"Origin": origin} if origin else {})
        for origin in (ORIGIN, FOREIGN, None)
    ]
    assert (mine.content, mine.headers[ALLOWED]) == (b"hello", ORIGIN)
    assert "etag" in listed(mine, "expose-headers")
    for answer in (foreign, none):
        assert answer.content == b"hello"
        assert ALLOWED not in answer.headers


@having(Feature.CORS_RULES)
async def test_the_page_reads_the_file_by_ranges(flow: Flow) -> None:
    url = (await flow.file("put"))["presigned_url"]
    answer = await flow.web.get(url, headers={"Origin": ORIGIN, "Range": "bytes=1-2"})
    assert (answer.status_code, answer.content) == (206, b"el")
    assert answer.headers["content-range"] == "bytes 1-2/5"
    told = {"accept-ranges", "content-length", "content-range", "content-disposition"}
    assert listed(answer, "expose-headers") >= told


@having(Feature.CORS_RULES)
async def test_the_page_reads_why_its_form_was_refused(flow: Flow) -> None:
    instructions = (await flow.announce("post"))["upload"]
    other_key = edited(instructions, {"key": "post/other"})
    too_large = await from_page(flow, ORIGIN, instructions, b"hello!")
    refused(too_large, 400, "EntityTooLarge")
    forbidden = await from_page(flow, ORIGIN, other_key)
    refused(forbidden, 403, "AccessDenied")
    assert [answer.headers.get(ALLOWED) for answer in (too_large, forbidden)] == [ORIGIN] * 2
    assert ALLOWED not in (await from_page(flow, FOREIGN, other_key)).headers


async def forged(flow: Flow, origin: str) -> list[httpx.Response]:
    """A PUT of another type than signed, and a link that was changed."""
    instructions = (await flow.announce("put"))["upload"]
    url = (await flow.file("put"))["presigned_url"]
    answers = [
        await from_page(flow, origin, edited(instructions, {"content-type": "text/html"})),
        await flow.web.get(f"{url}&acl", headers={"Origin": origin}),
    ]
    for answer in answers:
        refused(answer, 403, "SignatureDoesNotMatch")
    return answers


@having(Feature.CORS_RULES, Feature.CORS_ON_FORGERIES)
async def test_the_page_reads_why_its_signature_was_refused(flow: Flow) -> None:
    assert [answer.headers.get(ALLOWED) for answer in await forged(flow, ORIGIN)] == [ORIGIN] * 2
    assert [answer.headers.get(ALLOWED) for answer in await forged(flow, FOREIGN)] == [None] * 2


@lacking(Feature.CORS_ON_FORGERIES)
async def test_the_page_cannot_read_why_its_signature_was_refused(flow: Flow) -> None:
    assert [answer.headers.get(ALLOWED) for answer in await forged(flow, ORIGIN)] == [None] * 2


@lacking(Feature.BUCKET_PREFLIGHTS, Feature.CORS_RULES, Feature.FORMS)
async def test_a_preflight_of_a_form_is_answered_to_everybody(flow: Flow) -> None:
    """The answer to the form itself goes by the rules."""
    upload = await flow.announce("post")
    foreign = await preflight(flow, FOREIGN, "POST", upload["upload"])
    assert (foreign.status_code, foreign.headers[ALLOWED]) == (200, "*")
    assert ALLOWED not in (await from_page(flow, FOREIGN, upload["upload"])).headers


@lacking(Feature.CORS_RULES, Feature.CORS_WITHOUT_RULES)
async def test_a_store_with_headers_of_its_own(flow: Flow) -> None:
    """Such a store takes uploads from other clients; a page's own PUT fails its preflight."""
    instructions = (await flow.announce("put"))["upload"]
    for origin in (ORIGIN, FOREIGN):
        answer = await preflight(flow, origin, "PUT", instructions)
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, ORIGIN)
        missing = set(without_length(instructions["headers"])) - listed(answer, "allow-headers")
        assert missing == {"x-amz-meta-claimcheck-id"}
        sent = await from_page(flow, origin, instructions)
        assert (sent.status_code, sent.headers[ALLOWED]) == (200, "*")
