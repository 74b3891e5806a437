"""Pages of other origins that show files and read them with scripts, on Ceph RGW."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from tests.support.browser.chromium import TIMEOUT
from tests.support.service import SESSION_SECRET, Store, prepared, served
from tests.support.steps import stored
from tests.support.stores import block_public_access, rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))

BUCKET = "readers"
DOCS = Path(__file__).parents[2] / "docs"
CORPUS = Path(__file__).parents[1] / "contents" / "files"
DESTINATIONS = {
    # Only a PUT gives an object its header on RGW 16.2.
    "kept": {"method": "put", "cache_control": "private, max-age=3600, immutable"},
    "plain": {"method": "put"},
}
HTML = """<!doctype html><title>A page</title><script>
const elements = {
  img: (element) => element.decode(),
  video: (element) => seen(element, "loadeddata"),
  audio: (element) => seen(element, "loadeddata"),
};
const seen = (element, event) => new Promise((resolve, reject) => {
  element.addEventListener(event, resolve);
  element.addEventListener("error", reject);
});
// Each says whether it went well: browsers tell scripts no reason.
const well = (promise) => promise.then(() => true, () => false);
globalThis.show = (tag, src, crossOrigin = null) => {
  const element = document.createElement(tag);
  document.body.append(element);
  if (crossOrigin) element.crossOrigin = crossOrigin;
  element.src = src;
  return well(elements[tag](element));
};
globalThis.captions = (src) => {
  const video = document.createElement("video");
  const track = document.createElement("track");
  video.crossOrigin = "anonymous";
  video.append(track);
  document.body.append(video);
  track.src = src;
  track.track.mode = "hidden";
  return well(seen(track, "load"));
};
globalThis.font = (src) => well(new FontFace("a", `url("${src}")`).load());
globalThis.read = async (url) => {
  try {
    return (await (await fetch(url)).arrayBuffer()).byteLength;
  } catch {
    return null;
  }
};
</script><body>"""


def _guides(name: str, containing: str) -> str:
    """The guide's own code."""
    blocks = re.findall(r"```js\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    return str(block)


@dataclass(frozen=True)
class Readers:
    """The service, and two origins of one site, whose pages share what the browser keeps."""

    api: httpx.AsyncClient
    origins: tuple[str, str]

    async def stored(self, data: bytes, name: str, destination: str = "kept") -> dict[str, Any]:
        """A file's JSON, with the `content_url` as an absolute `shown` besides."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
            file = await stored(self.api, web, data, name, destination=destination)
        return file | {"shown": str(self.api.base_url.join(file["content_url"]))}


@contextmanager
def _page_served() -> Iterator[str]:
    """The page at an origin of its own."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(HTML.encode())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
async def readers(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Readers]:
    with ExitStack() as stack:
        origins = stack.enter_context(_page_served()), stack.enter_context(_page_served())
        keys = gateway.owner
        environ = {
            "DATABASE_URL": postgres_url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
            "CLAIMCHECK_CORS_ORIGINS": ",".join(origins),
            "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
            **Store(gateway.endpoint_url, keys.access_key, keys.secret_key).environ(BUCKET),
        }
        log = tmp_path_factory.mktemp("readers") / "log"
        async with served(environ, log) as service:
            # The bucket answers pages of the service's own origin, too.
            own = f"{environ['CLAIMCHECK_CORS_ORIGINS']},{service.client.base_url}".rstrip("/")
            await prepared(environ | {"CLAIMCHECK_CORS_ORIGINS": own})
            # RGW 16.2 refuses every upload under the rest of it.
            block_public_access(gateway.client(), BUCKET, "IgnorePublicAcls")
            yield Readers(service.client, origins)


@pytest.fixture
async def page(browser: Browser, readers: Readers) -> AsyncIterator[Page]:
    """The page at the first origin, in a fresh profile."""
    context = await browser.new_context()
    context.set_default_timeout(TIMEOUT)
    page = await context.new_page()
    await page.goto(readers.origins[0])
    code = _guides("auth.md", "linkForScripts")
    assert "https://uploads.example.com" in code
    address = str(readers.api.base_url)
    await page.add_script_tag(content=code.replace("https://uploads.example.com", address))
    yield page
    await context.close()


async def test_a_script_reads_what_the_page_has_shown(
    page: Page, readers: Readers, picture: bytes
) -> None:
    file = await readers.stored(picture, "a.png")
    assert await page.evaluate("file => show('img', file.shown)", file)
    # What the browser keeps of it is for no script.
    assert await page.evaluate("file => read(file.presigned_url)", file) is None
    link = await page.evaluate("linkForScripts", file)
    assert await page.evaluate("read", link) == len(picture)
    # It stays the same, and is good for pages of either origin.
    body = {"ids": [file["id"]], "reader": "script"}
    [again] = (await readers.api.post("/v1/files/presign", json=body)).json()["items"]
    assert again["presigned_url"] == link
    await page.goto(readers.origins[1])
    assert await page.evaluate("read", link) == len(picture)
    assert await page.evaluate("link => show('img', link, 'anonymous')", link)


async def test_a_page_of_another_origin_cannot_follow_the_redirect(
    page: Page, readers: Readers, picture: bytes
) -> None:
    """Its second change of origin makes the origin `null`, that of every sandboxed frame."""
    file = await readers.stored(picture, "a.png")
    assert await page.evaluate("file => read(file.shown)", file) is None
    assert not await page.evaluate("file => show('img', file.shown, 'anonymous')", file)
    # The attempt spoils nothing.
    link = await page.evaluate("linkForScripts", file)
    assert await page.evaluate("read", link) == len(picture)


async def test_a_page_of_the_services_own_origin_can(
    page: Page, readers: Readers, picture: bytes
) -> None:
    file = await readers.stored(picture, "a.png")
    await page.goto(f"{readers.api.base_url}/livez")
    await page.add_script_tag(content=HTML.partition("<script>")[2].partition("</script>")[0])
    assert await page.evaluate("file => show('img', file.shown)", file)
    assert await page.evaluate("file => read(file.shown)", file) == len(picture)
    assert await page.evaluate("file => show('img', file.shown, 'anonymous')", file)


@pytest.mark.parametrize("tag", ["img", "video", "audio"])
async def test_an_element_with_crossorigin_beside_one_without(
    page: Page, readers: Readers, tag: str
) -> None:
    name = {"img": "photo.webp", "video": "clip.webm", "audio": "pcm.wav"}[tag]
    file = await readers.stored((CORPUS / name).read_bytes(), name)
    assert await page.evaluate("([tag, file]) => show(tag, file.shown)", [tag, file])
    link = await page.evaluate("linkForScripts", file)
    assert await page.evaluate("([tag, link]) => show(tag, link, 'anonymous')", [tag, link])
    assert await page.evaluate("read", link) == file["size"]


@pytest.mark.parametrize(("name", "use"), [("film.vtt", "captions"), ("font.woff", "font")])
async def test_what_browsers_load_as_scripts_do(
    page: Page, readers: Readers, name: str, use: str
) -> None:
    file = await readers.stored((CORPUS / name).read_bytes(), name)
    assert not await page.evaluate(f"file => {use}(file.shown)", file)
    assert await page.evaluate(use, await page.evaluate("linkForScripts", file))


async def test_an_svg_is_shown_by_a_script_alone(page: Page, readers: Readers) -> None:
    asked = f"{readers.api.base_url}/livez?"
    ask = f"fetch('{asked}')"
    data = f"""<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5" onload="{ask}">
      <image href="{asked}"/><script>{ask}</script><rect width="5" height="5"/></svg>"""
    file = await readers.stored(data.encode(), "a.svg")
    link = await page.evaluate("linkForScripts", file)
    assert not await page.evaluate("file => show('img', file.shown)", file)
    assert not await page.evaluate("link => show('img', link, 'anonymous')", link)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    code = _guides("contents.md", "data:image/svg+xml")
    await page.evaluate(
        "async (link) => { const image = new Image(); document.body.append(image);"
        + code
        + "await image.decode(); }",
        link,
    )
    assert [url for url in requests if not url.startswith("data:")] == [link]


@pytest.mark.slow
async def test_an_object_that_browsers_keep_because_of_its_age(
    page: Page, readers: Readers, picture: bytes
) -> None:
    """For a tenth of it, where no header says how long (RFC 9111, section 4.2.2)."""
    file = await readers.stored(picture, "a.png", "plain")
    await asyncio.sleep(65)
    assert await page.evaluate("file => show('img', file.shown)", file)
    assert await page.evaluate("file => read(file.presigned_url)", file) is None
    link = await page.evaluate("linkForScripts", file)
    assert await page.evaluate("read", link) == len(picture)
