"""A link reads one version of one object, for a while, and does nothing else."""

from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest

from tests.contract.flow import Flow, flipped, refused, replacing
from tests.contract.stores import OTHER, Feature, having, lacking

MISMATCH = "SignatureDoesNotMatch"
STARRED = "filename*=UTF-8''%E6%97%85%E8%A1%8C%20%22x%22%20%C3%A9.txt"


async def linked(flow: Flow) -> str:
    return str((await flow.file("put"))["presigned_url"])


TAGS = "{}&tagging".format


@having()
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(flipped, id="signature"),
        pytest.param(replacing("--a.txt", "--b.txt"), id="key"),
        pytest.param(replacing(r"(//[^/]+/[^/?]+)", rf"\1{OTHER}"), id="bucket"),
        pytest.param(replacing("X-Amz-Expires=4500", "X-Amz-Expires=604800"), id="expiry"),
        pytest.param("{}&response-content-type=text%2Fhtml".format, id="type"),
        pytest.param("{}&response-content-disposition=attachment".format, id="disposition"),
        pytest.param("{}&versionId=null".format, id="version"),
        pytest.param("{}&acl".format, id="acl"),
    ],
)
async def test_a_changed_link_is_refused(flow: Flow, change: Callable[[str], str]) -> None:
    url = await linked(flow)
    refused(await flow.web.get(change(url)), 403, MISMATCH)
    assert await flow.read(url) == b"hello"


@having(Feature.SUBRESOURCES)
async def test_a_link_for_its_tags_is_refused(flow: Flow) -> None:
    refused(await flow.web.get(TAGS(await linked(flow))), 403, MISMATCH)


@having()
async def test_a_link_opens_no_other_file(flow: Flow) -> None:
    mine, other = await flow.file("put"), await flow.file("put", b"other")
    changed = replacing(quote(mine["key"]), quote(other["key"]))(mine["presigned_url"])
    refused(await flow.web.get(changed), 403, MISMATCH)
    assert await flow.read(other["presigned_url"]) == b"other"


@having(Feature.VERSIONS)
@pytest.mark.parametrize(
    "replacement", ["versionId=null", r"versionId=\g<1>x", "", r"versionId=\g<1>&versionId=null"]
)
async def test_a_link_is_pinned_to_its_version(flow: Flow, replacement: str) -> None:
    url = await linked(flow)
    changed = replacing(r"versionId=([^&]+)", replacement)(url)
    refused(await flow.web.get(changed), 403, MISMATCH)
    assert await flow.read(url) == b"hello"


@lacking(Feature.VERSIONS)
async def test_a_link_without_versions_names_none(flow: Flow) -> None:
    assert "versionId" not in await linked(flow)


@having()
async def test_a_link_only_gets(flow: Flow) -> None:
    file = await flow.file("put")
    url = file["presigned_url"]
    for method in ("PUT", "DELETE"):
        refused(await flow.web.request(method, url, content=b"over"), 403, MISMATCH)
    posted = await flow.web.post(url, content=b"over")
    assert posted.status_code == flow.kind.post_to_key
    # The method is signed: a HEAD needs a link of its own.
    if flow.kind.has(Feature.HONEST_HEADS):
        assert (await flow.web.head(url)).status_code == 403
    assert await flow.read(url) == b"hello"
    assert await flow.read(await flow.link(file)) == b"hello"


@having()
async def test_a_link_ends(flow: Flow) -> None:
    file = await flow.file("put")
    # A quarter of its hour is the window to which the time of signing is floored.
    with flow.clock.ahead(seconds=-3540):
        assert await flow.read(await flow.link(file)) == b"hello"
    with flow.clock.ahead(seconds=-4510):
        expired = await flow.link(file)
    refused(await flow.web.get(expired), *flow.kind.expired)


@having(Feature.FUTURE_REFUSED)
async def test_a_link_before_its_time(flow: Flow) -> None:
    file = await flow.file("put")
    with flow.clock.ahead(hours=2):
        early = await flow.link(file)
    refused(await flow.web.get(early), 403, "AccessDenied")


@lacking(Feature.FUTURE_REFUSED)
async def test_a_link_before_its_time_works(flow: Flow) -> None:
    file = await flow.file("put")
    with flow.clock.ahead(hours=2):
        early = await flow.link(file)
    assert await flow.read(early) == b"hello"


@having()
async def test_a_part_of_the_file(flow: Flow) -> None:
    """Players of video ask so; the range is the reader's to choose, it is not signed."""
    response = await flow.web.get(await linked(flow), headers={"Range": "bytes=1-3"})
    status = 206 if flow.kind.has(Feature.RANGES) else 200
    assert (response.status_code, response.content) == (status, b"ell")
    assert response.headers["content-range"] == "bytes 1-3/5"


@having()
@pytest.mark.parametrize(
    ("disposition", "filename", "expected"),
    [
        (
            "attachment",
            '旅行 "x" é.txt',
            f'attachment; filename="__ _x_ _.txt"; {STARRED}',
        ),
        ("attachment", "a;b,c.txt", 'attachment; filename="a;b,c.txt"'),
        ("inline", None, 'inline; filename="a.txt"'),
        (None, None, 'inline; filename="a.txt"'),
        (None, '旅行 "x" é.txt', f'inline; filename="__ _x_ _.txt"; {STARRED}'),
    ],
)
async def test_the_name_to_save_under(
    flow: Flow, disposition: str | None, filename: str | None, expected: str
) -> None:
    file = await flow.file("put")
    asked = {"disposition": disposition, "filename": filename}
    query = {name: value for name, value in asked.items() if value}
    redirect = await flow.api.get(f"/v1/files/{file['id']}/content", params=query)
    assert redirect.status_code == 302
    read = await flow.web.get(redirect.headers["location"])
    assert (read.status_code, read.content) == (200, b"hello")
    assert read.headers["content-disposition"] == expected
    assert read.headers["content-type"] == "text/plain; charset=utf-8"


@having()
async def test_what_a_browser_would_run_is_downloaded(flow: Flow) -> None:
    file = await flow.file("put", b"<script>", filename="é.html", content_type="text/html")
    read = await flow.web.get(file["presigned_url"])
    assert (read.status_code, read.content) == (200, b"<script>")
    assert read.headers["content-type"] == "application/octet-stream"
    expected = "attachment; filename=\"_.html\"; filename*=UTF-8''%C3%A9.html"
    assert read.headers["content-disposition"] == expected


@having()
async def test_a_head_is_redirected_to_a_link_for_heads(flow: Flow) -> None:
    """Download managers and link checkers ask so; a link for GET is refused to them."""
    file = await flow.file("put")
    path = f"/v1/files/{file['id']}/content"
    redirect = await flow.api.head(path)
    assert (redirect.status_code, redirect.content) == (302, b"")
    head = await flow.web.head(redirect.headers["location"])
    assert (head.status_code, head.headers["content-length"]) == (200, "5")
    assert head.headers["content-disposition"] == 'inline; filename="a.txt"'
    assert head.headers["content-type"] == "text/plain; charset=utf-8"
    refused(await flow.web.get(redirect.headers["location"]), 403, MISMATCH)
    if flow.kind.has(Feature.HONEST_HEADS):
        assert (await flow.web.head(file["presigned_url"])).status_code == 403
    # One byte tells as much, with the link that is at hand.
    byte = await flow.web.get(file["presigned_url"], headers={"Range": "bytes=0-0"})
    assert (byte.content, byte.headers["content-range"]) == (b"h", "bytes 0-0/5")
    # And a GET is redirected as ever.
    assert (await flow.api.get(path)).headers["location"] != redirect.headers["location"]


@having()
@pytest.mark.parametrize("name", ["旅" * 251 + ".txt", "💾" * 125 + ".txt", "é'*!;=&+#%" * 25])
async def test_the_longest_name_is_saved_as_it_is(flow: Flow, name: str) -> None:
    # Not announced by it: rclone keeps keys as names of a file system, which are shorter.
    file = await flow.file("put")
    redirect = await flow.api.get(f"/v1/files/{file['id']}/content", params={"filename": name})
    read = await flow.web.get(redirect.headers["location"])
    assert (read.status_code, read.content) == (200, b"hello")
    _, _, extended = read.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert unquote(extended) == name


@having()
@pytest.mark.parametrize(
    ("announced", "data", "served"),
    [
        ("text/plain", "für".encode(), "text/plain; charset=utf-8"),
        ("text/plain", b"", "text/plain; charset=utf-8"),
        ("text/plain", "für".encode("windows-1252"), "text/plain"),
        ("text/plain; charset=utf-8", "für".encode("windows-1252"), "text/plain"),
        ("text/plain; charset=koi8-r", "отчёт".encode("koi8-r"), "text/plain; charset=koi8-r"),
    ],
    ids=["utf-8", "empty", "other", "said wrongly", "said rightly"],
)
async def test_a_text_is_served_with_its_charset(
    flow: Flow, announced: str, data: bytes, served: str
) -> None:
    file = await flow.file("put", data, content_type=announced)
    assert file["content_type"] == file["announced_type"] == announced
    read = await flow.web.get(file["presigned_url"])
    assert (read.status_code, read.content) == (200, data)
    assert read.headers["content-type"] == served
