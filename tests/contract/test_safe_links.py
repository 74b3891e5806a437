"""Whatever was confirmed, no link shows HTML, SVG or XML in the browser, however it was had."""

from typing import Any

import pytest

from tests.contract.flow import Flow, sha256
from tests.contract.stores import having
from tests.support.samples import HTML, PNG, SVG, XML


async def every_link(flow: Flow, file: dict[str, Any], again: dict[str, Any]) -> dict[str, str]:
    """A link to the file by each way to get one; `again` announces the same bytes once more."""
    path, records = f"/v1/files/{file['id']}", f"/v1/records/of-{file['destination']}"
    links = {"confirm": file["presigned_url"]}

    async def answer(method: str, path: str, body: Any = None) -> Any:
        response = await flow.api.request(method, path, json=body)
        assert response.is_success, response.text
        return response.json()

    links["confirmed again"] = (await answer("POST", f"/v1/uploads/{file['id']}/confirm"))[
        "presigned_url"
    ]
    links["stored by URL"] = (await answer("POST", "/v1/files", {"url": file["url"]}))[
        "presigned_url"
    ]
    links["file"] = (await answer("GET", path))["presigned_url"]
    [listed] = [f for f in (await answer("GET", "/v1/files"))["items"] if f["id"] == file["id"]]
    links["list"] = listed["presigned_url"]
    for name, body in (("ids", {"ids": [file["id"]]}), ("URLs", {"urls": [file["url"]]})):
        for reader in (None, "script"):
            asked = {**body, "reader": reader}
            [item] = (await answer("POST", "/v1/files/presign", asked))["items"]
            links[f"presign by {name} for {reader}"] = item["presigned_url"]
    record = await answer("PUT", f"{records}/1/files", {"file_ids": [file["id"]]})
    [held] = record["fields"]["files"]
    links["record, put"] = held["presigned_url"]
    [held] = (await answer("GET", f"{records}/1"))["fields"]["files"]
    links["record"] = held["presigned_url"]
    [one] = (await answer("GET", f"{records}?ids=1"))["items"]
    links["records"] = one["fields"]["files"][0]["presigned_url"]
    grants = {listed["content_url"], file["content_url"]}
    for at in (f"{path}/content?", *(f"{url}&" for url in grants)):
        for query in (
            *("", "disposition=inline", "disposition=attachment"),
            "disposition=inline&filename=a.html",
        ):
            redirect = await flow.api.get(f"{at}{query}")
            assert redirect.status_code == 302
            links[f"{at}{query}"] = redirect.headers["location"]
            told = await answer("GET", f"{at}{query}&reader=script")
            links[f"{at}{query} for scripts"] = told["presigned_url"]
    announced = await answer("POST", "/v1/uploads", again)
    if announced["upload"] is None:  # where the store has compared the bytes with their SHA-256
        links["announced again"] = announced["presigned_url"]
    return links


@having()
@pytest.mark.parametrize(
    ("content_type", "data", "filename", "destination"),
    [
        ("text/html", HTML, "a.html", "once-put"),
        ("text/plain", HTML, "a.txt", "once-inline"),
        ("application/octet-stream", HTML, "a.bin", "once-put"),
        ("image/svg+xml", SVG, "a.svg", "once-inline"),
        ("application/xml", XML, "a.xml", "once-put"),
    ],
    ids=["html", "html as text", "html as bytes", "svg", "xml"],
)
async def test_no_link_shows_what_a_browser_would_run(
    flow: Flow, content_type: str, data: bytes, filename: str, destination: str
) -> None:
    data += f"<!-- {destination} {content_type} -->".encode()  # the same bytes need not be sent
    about = {
        "destination": destination,
        "filename": filename,
        "content_type": content_type,
        "checksum_sha256": sha256(data),
    }
    file = await flow.file(data=data, **about)
    links = await every_link(flow, file, {**about, "size": len(data)})
    assert len(links) >= 18
    assert ("announced again" in links) is file["checksum_verified"]
    for way, link in links.items():
        read = await flow.web.get(link)
        assert (read.status_code, read.content) == (200, data), way
        assert read.headers["content-type"] == "application/octet-stream", way
        assert read.headers["content-disposition"].startswith("attachment;"), way


def shown_as(way: str, filename: str) -> str:
    disposition = "attachment" if "attachment" in way else "inline"
    return f'{disposition}; filename="{"a.html" if "a.html" in way else filename}"'


@having()
async def test_the_same_ways_show_an_image(flow: Flow) -> None:
    about = {
        "destination": "once-put",
        "filename": "a.png",
        "content_type": "image/png",
        "checksum_sha256": sha256(PNG),
    }
    file = await flow.file(data=PNG, **about)
    for way, link in (await every_link(flow, file, {**about, "size": len(PNG)})).items():
        read = await flow.web.get(link)
        assert read.headers["content-type"] == "image/png", way
        assert read.headers["content-disposition"] == shown_as(way, "a.png"), way


@having()
async def test_every_way_serves_the_true_type_of_a_mistaken_name(flow: Flow) -> None:
    """The object is stored as it was announced, so links say what it is."""
    about = {"destination": "once-put", "filename": "a.jpg", "content_type": "image/jpeg"}
    file = await flow.file(data=PNG, **about)
    assert (file["content_type"], file["announced_type"]) == ("image/png", "image/jpeg")
    for way, link in (await every_link(flow, file, {**about, "size": len(PNG)})).items():
        read = await flow.web.get(link)
        assert (read.content, read.headers["content-type"]) == (PNG, "image/png"), way
        assert read.headers["content-disposition"] == shown_as(way, "a.jpg"), way


@having()
async def test_every_way_serves_a_text_in_utf8(flow: Flow) -> None:
    data = "Grüße\n".encode()
    about = {"destination": "once-put", "filename": "a.txt", "checksum_sha256": sha256(data)}
    file = await flow.file(data=data, content_type="text/plain", **about)
    again = {**about, "content_type": "text/plain", "size": len(data)}
    for way, link in (await every_link(flow, file, again)).items():
        read = await flow.web.get(link)
        assert (read.content, read.headers["content-type"]) == (
            data,
            "text/plain; charset=utf-8",
        ), way
        assert read.headers["content-disposition"] == shown_as(way, "a.txt"), way
