"""The bucket is private: whoever has no signature gets nothing and changes nothing."""

import pytest

from tests.contract.flow import Flow, turned_away
from tests.contract.stores import Feature, having


@having()
async def test_an_object(flow: Flow) -> None:
    file = await flow.file("put")
    url = file["url"]
    for method, content in (("GET", b""), ("PUT", b"over"), ("DELETE", b"")):
        turned_away(flow, await flow.web.request(method, url, content=content))
    if flow.kind.has(Feature.HONEST_HEADS):
        assert (await flow.web.head(url)).status_code == flow.kind.anonymous[0]
    public = await flow.web.put(f"{url}?acl", headers={"x-amz-acl": "public-read"})
    turned_away(flow, public)
    assert await flow.read(file["presigned_url"]) == b"hello"


@having()
@pytest.mark.parametrize("query", ["", "?list-type=2", "?versions", "?uploads", "?cors", "?policy"])
async def test_a_look_into_the_bucket(flow: Flow, query: str) -> None:
    bucket = f"{flow.store.service.endpoint_url}/{flow.store.bucket}"
    turned_away(flow, await flow.web.get(bucket + query))


@having()
async def test_changes_to_the_bucket(flow: Flow) -> None:
    file = await flow.file("put")
    bucket = f"{flow.store.service.endpoint_url}/{flow.store.bucket}"
    form = {"key": "planted"}
    everything = f"<Delete><Object><Key>{file['key']}</Key></Object></Delete>".encode()
    unsigned = await flow.web.post(bucket, data=form, files={"file": ("a", b"mine")})
    assert unsigned.status_code in {400, 403, 412}, unsigned.text
    for response in (
        await flow.web.put(f"{bucket}?policy", content=b"{}"),
        await flow.web.post(f"{bucket}?delete", content=everything),
        await flow.web.delete(bucket),
        await flow.web.put(f"{bucket}-anonymous"),
    ):
        turned_away(flow, response)
    assert not flow.store.holds("planted")
    assert await flow.read(file["presigned_url"]) == b"hello"


@having()
async def test_a_url_is_no_link(flow: Flow) -> None:
    """The stored URL is for keeping: alone it opens nothing, on any of the addresses we give."""
    upload = await flow.announce("put")
    assert (await flow.send(upload["upload"])).is_success
    bare = upload["upload"]["url"].partition("?")[0]
    assert bare == upload["url"]
    turned_away(flow, await flow.web.get(bare))
