"""Uppy's door over HTTP, in the words of both majors of its client."""

import base64
import json
import logging
from typing import Any

import httpx
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings.model import Settings, load_settings
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, log_lines, prepared, running
from tests.support.steps import slug

RULES = {
    "CLAIMCHECK_CORS_ORIGINS": "https://www.example.com",
    "CLAIMCHECK_DESTINATIONS__IMAGES__CONTENT_TYPES": "image/*",
    "CLAIMCHECK_DESTINATIONS__FILES__MIN_SIZE": "2",
    "CLAIMCHECK_DESTINATIONS__FILES__MAX_SIZE": "20",
    "CLAIMCHECK_DESTINATIONS__PUTS__METHOD": "put",
    "CLAIMCHECK_DESTINATIONS__PUTS__CONDITIONAL_WRITES": "true",
    "CLAIMCHECK_DESTINATIONS__SEALED__METHOD": "multipart",
}
# What the two send: 5 leaves out nulls and makes strings of the rest, 6 sends words for them.
V5 = {"filename": "日本 (1).PNG", "type": "image/png", "metadata[name]": "日本 (1).PNG"}
V6 = {**V5, "metadata[relativePath]": "null", "metadata[type]": "image/png"}
ACCEPT = {5: {"Accept": "application/json"}, 6: {"Accept": "*/*"}}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RULES)


async def form_of(client: httpx.AsyncClient, path: str, **query: str) -> dict[str, Any]:
    response = await client.get(path, params={"filename": "a.txt", "type": "text/plain"} | query)
    assert response.status_code == 200, response.text
    return response.json()


async def send(web: httpx.AsyncClient, form: dict[str, Any], data: bytes) -> httpx.Response:
    return await web.post(form["url"], data=form["fields"], files={"file": ("blob", data)})


def explained(response: httpx.Response, status: int) -> str:
    """The words that Uppy shows of a refusal, in the shape that it wants."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"]
    assert body["code"] == slug(response)
    assert body["message"] == body["detail"]
    return str(body["message"])


@pytest.mark.parametrize(("major", "query"), [(5, V5), (6, V6)])
async def test_a_form_and_its_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient, major: int, query: dict[str, str]
) -> None:
    form = await form_of(client, "/uppy/to/images/s3/params", **query)
    assert set(form) == {"method", "url", "fields", "expires"}
    assert form["method"] == "POST"
    assert form["url"].endswith("/")
    assert 3590 <= form["expires"] <= 3600
    fields = form["fields"]
    assert fields["success_action_status"] == "201"
    assert fields["content-type"] == "image/png"
    # Uppy 6 refuses forms with these.
    assert not {"file", "redirect", "success_action_redirect"} & {name.lower() for name in fields}
    sent = await send(web, form, PNG)
    assert sent.status_code == 201
    assert sent.headers["etag"]

    body = {"destination": "images", "key": fields["key"]}
    file = (await client.post("/v1/files", json=body)).json()
    assert (file["state"], file["size"]) == ("confirmed", len(PNG))
    assert file["filename"] == "日本 (1).PNG"
    assert (await web.get(file["presigned_url"])).content == PNG


async def test_metadata_and_path_arrive(client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    said = {"album": "spring", "stars": "5", "none": "undefined", "relativePath": "/Été/a.png"}
    form = await form_of(
        client, "/uppy/to/images/s3/params", **V5, **{f"metadata[{k}]": v for k, v in said.items()}
    )
    assert (await send(web, form, PNG)).status_code == 201
    key = {"destination": "images", "key": form["fields"]["key"]}
    file = (await client.post("/v1/files", json=key)).json()
    assert (file["metadata"], file["path"]) == ({"album": "spring", "stars": "5"}, "Été/a.png")


@pytest.mark.parametrize("path", ["../a.png", "a\\b.png", "C:/a.png", "null", "", "//host/a"])
async def test_what_is_no_path_is_none(
    client: httpx.AsyncClient, web: httpx.AsyncClient, path: str
) -> None:
    form = await form_of(
        client, "/uppy/to/images/s3/params", **V5, **{"metadata[relativePath]": path}
    )
    assert (await send(web, form, PNG)).status_code == 201
    key = {"destination": "images", "key": form["fields"]["key"]}
    assert (await client.post("/v1/files", json=key)).json()["path"] is None


async def test_a_form_carries_the_destinations_range(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    form = await form_of(client, "/uppy/to/files/s3/params")
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 2, 20] in policy["conditions"]
    for size, status in ((1, 400), (21, 400), (20, 201)):
        assert (await send(web, form, b"x" * size)).status_code == status


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("text/html", "text/html"),
        ("", "text/plain"),
        ("undefined", "text/plain"),
        ("null", "text/plain"),
        ("no type at all", "text/plain"),
        ("image/png\r\nx: y", "text/plain"),
    ],
)
async def test_what_is_no_type_leaves_it_to_the_extension(
    client: httpx.AsyncClient, said: str, stored: str
) -> None:
    form = await form_of(client, "/uppy/to/files/s3/params", type=said)
    assert form["fields"]["content-type"] == stored
    without = await client.get("/uppy/to/files/s3/params", params={"filename": "a.txt"})
    assert without.json()["fields"]["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/uppy/to/images/s3/params", {"metadata[destination]": "files", "destination": "files"}),
        ("/uppy/s3/params", {"metadata[destination]": "files", "destination": "images"}),
        ("/uppy/s3/params", {"metadata[destination]": "images"}),
        ("/uppy//s3/params", {"metadata[destination]": "images"}),
        ("//uppy/to/images//s3//params", {}),
        ("/uppy/secret-token/s3/params", {"metadata[destination]": "images"}),
        ("/uppy/secret-token/to/images/s3/params", {}),
        ("/uppy/secret-token//to/images/s3/params/", {}),
    ],
)
async def test_the_destination_is_said_in_the_path_the_query_or_the_metadata(
    client: httpx.AsyncClient, path: str, query: dict[str, str]
) -> None:
    # With its host: a path with two slashes in front would begin with another.
    response = await client.get(f"http://127.0.0.1{path}", params={**V6, **query})
    assert response.status_code == 200, response.text
    assert response.json()["fields"]["key"].startswith("images/")


@pytest.mark.parametrize("said", [{}, {"metadata[destination]": "null"}])
async def test_without_a_destination_it_says_how_to_name_one(
    client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    words = explained(await client.get("/uppy/s3/params", params=V6 | said), 422)
    assert "/to/<destination>" in words
    assert "files, images" in words


async def test_the_only_destination_need_not_be_named(environ: dict[str, str]) -> None:
    one = {"CLAIMCHECK_DESTINATIONS": '{"only": {}}'}
    settings = load_settings(environ | one)
    assert list(settings.destinations) == ["only"]
    async with running(settings) as client:
        form = await form_of(client, "/uppy/s3/params")
    assert form["fields"]["key"].startswith("only/")


@pytest.mark.parametrize("major", [5, 6])
async def test_refusals_are_in_uppys_shape(client: httpx.AsyncClient, major: int) -> None:
    async def asked(path: str, status: int, **query: str) -> str:
        response = await client.get(path, params=query, headers=ACCEPT[major])
        return explained(response, status)

    images = "/uppy/to/images/s3/params"
    assert "any image" in await asked(images, 422, filename="a.txt", type="text/plain")
    assert "filename" in await asked(images, 422, type="image/png")
    await asked(images, 422, filename="\x00", type="image/png")
    await asked("/uppy/to/nowhere/s3/params", 422, filename="a")
    hint = "shouldUseMultipart: true"
    assert hint in await asked("/uppy/to/sealed/s3/params", 422, filename="a")
    if major == 6:
        assert hint in await asked("/uppy/to/puts/s3/params", 422, filename="a")
    assert "getTemporarySecurityCredentials" in await asked("/uppy/s3/sts", 501)
    await asked("/uppy/s3/nothing", 404)
    response = await client.put("/uppy/s3/params", headers=ACCEPT[major])
    explained(response, 405)
    # Elsewhere problems have their own members alone.
    assert "message" not in (await client.get("/v1/files/x")).json()


async def test_uppy_5_gets_a_put_where_there_are_no_forms(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    params = {"filename": "a.txt", "type": "text/plain"}
    response = await client.get("/uppy/to/puts/s3/params", params=params, headers=ACCEPT[5])
    answer = response.json()
    assert (response.status_code, answer["method"]) == (200, "PUT")
    sent = await web.put(answer["url"], headers=answer["headers"], content=b"hello")
    assert sent.status_code == 200
    again = await web.put(answer["url"], headers=answer["headers"], content=b"other")
    assert again.status_code == 412
    # Where it looks for the key that the page confirms.
    body = {"destination": "puts", "key": answer["fields"]["key"]}
    file = (await client.post("/v1/files", json=body)).json()
    assert (file["state"], file["size"], file["content_type"]) == ("confirmed", 5, "text/plain")


async def test_a_token_in_the_path_is_in_no_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "claimcheck"):
        await form_of(client, "/uppy/hunter2/to/files/s3/params")
        await client.get("/uppy/hunter2/s3/sts")
        await client.get("/uppy/hunter2/nothing")
        await client.get("http://127.0.0.1//uppy/hunter2")
        await client.options("/uppy/hunter2/s3/params")
    lines = log_lines(caplog, "access")
    assert [f"{line['method']} {line['path']} {line['status']}" for line in lines] == [
        "GET /uppy/to/files/s3/params 200",
        "GET /uppy/s3/sts 501",
        "GET /uppy/nothing 404",
        "GET /uppy 404",
        "OPTIONS /uppy/s3/params 405",
    ]
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("claimcheck"))
    assert "hunter2" not in ours


async def test_the_preflights_that_uppy_causes(client: httpx.AsyncClient) -> None:
    # 5 with `headers: {Authorization}`; JSON bodies and DELETE of both.
    for method, headers in (("GET", "authorization"), ("POST", "content-type"), ("DELETE", "")):
        asked = {
            "Origin": "https://www.example.com",
            "Access-Control-Request-Method": method,
            **({"Access-Control-Request-Headers": headers} if headers else {}),
        }
        response = await client.options("/uppy//s3/multipart", headers=asked)
        assert response.status_code == 200, response.text
    refused = await client.get("/uppy/s3/sts", headers={"Origin": "https://www.example.com"})
    assert refused.headers["access-control-allow-origin"] == "https://www.example.com"


_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_WISHES = st.fixed_dictionaries(
    {}, optional={"filename": _JSON, "type": _JSON, "metadata": _JSON | st.just({"destination": 1})}
)


async def test_nothing_that_it_is_sent_breaks_it(client: httpx.AsyncClient) -> None:
    """Whatever stands in queries and bodies: an answer, or a problem of the client's."""

    @given(
        st.dictionaries(
            st.sampled_from(["filename", "type", "metadata[name]", "destination"]), _TEXT
        ),
        _WISHES | _JSON,
        st.lists(_JSON, max_size=3),
    )
    @hypothesis.settings(max_examples=60)
    def make(query: dict[str, str], wish: object, parts: object) -> None:
        made.append((query, wish, parts))

    made: list[tuple[dict[str, str], object, object]] = []
    make()
    upload = f"/uppy/s3/multipart/{UNKNOWN_ID}"
    headers = {"Content-Type": "application/json"}  # if there is no infinity in it
    for query, wish, parts in made:
        answers = [
            await client.get("/uppy/s3/params", params=query),
            await client.post("/uppy/s3/multipart", content=json.dumps(wish), headers=headers),
            await client.post(
                f"{upload}/complete", content=json.dumps({"parts": parts}), headers=headers
            ),
            await client.get(f"{upload}/batch", params={"partNumbers": "".join(query.values())}),
        ]
        assert all(answer.status_code < 500 for answer in answers), (query, wish, parts)
    assert len(made) > 30
