"""A page of another origin that has uploader.js, a service on Ceph RGW, and the wire between."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page

from tests.support.browser.wire import Wire, wired
from tests.support.samples import PNG
from tests.support.service import Service, Store, prepared, served
from tests.support.stores import block_public_access, rgw

MIB = 1 << 20
PART = 5 * MIB
# Browsers trust loopback addresses and `localhost` like https, but not this name, which a browser
# of its own resolves to loopback.
PLAIN = "shop.example"
DESTINATIONS = {
    "files": {"method": "post"},
    "puts": {"method": "put"},
    "large": {"method": "multipart"},
    "parts": {"method": "multipart", "part_size": PART},
    # Signed for so short a time that a test can wait until it is over.
    "brief-posts": {"method": "post", "upload_expires_in": 4},
    "brief-parts": {"method": "multipart", "part_size": PART, "upload_expires_in": 4},
    "held": {"method": "multipart", "part_size": PART, "integrity": "md5"},
    "held-whole": {"method": "put", "integrity": "md5"},
    "pictures": {"content_types": ["image/*"], "max_size": 1_000_000},
}
# What the tests drive the module with.
DRIVER = """
import { Uploader, UploadError } from "%s/static/uploader.js";
Object.assign(globalThis, { Uploader, UploadError });
globalThis.mostAtOnce = 0;
globalThis.mostLeaving = 0; // of those, of which not all bytes had left
let atOnce = 0;
const leaving = new Set();
const { open, send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = function (...how) {
  this.upload.addEventListener("load", () => leaving.delete(this)); // before the module's own
  return open.apply(this, how);
};
XMLHttpRequest.prototype.send = function (body) {
  mostAtOnce = Math.max(mostAtOnce, ++atOnce);
  mostLeaving = Math.max(mostLeaving, leaving.add(this).size);
  this.addEventListener("readystatechange", () => (atOnce -= this.readyState === 4));
  this.addEventListener("loadend", () => leaving.delete(this));
  return send.call(this, body);
};
globalThis.chosen = () => [...document.querySelector("input").files];
globalThis.begin = (options, upload = {}) => {
  const uploader = new Uploader(options);
  globalThis.states = [];
  globalThis.loaded = 0;
  globalThis.falls = 0; // of the bar
  const onProgress = (progress) => {
    falls += progress.loaded < loaded;
    loaded = progress.loaded;
    if (states.at(-1) !== progress.state) states.push(progress.state);
  };
  globalThis.uploads = uploader.uploadAll(chosen(), { onProgress, ...upload });
  globalThis.outcome = Promise.allSettled(uploads).then((all) =>
    all.map(({ value, reason }) => value ?? {
      name: reason.name, message: reason.message, status: reason.status, type: reason.type,
      retry: reason.retry,
    }));
};
document.body.dataset.ready = true;
"""


@dataclass
class Line:
    """A service of which the browser reaches the bucket by `wire` alone."""

    service: Service
    api: httpx.AsyncClient
    wire: Wire
    bucket: str  # its origin, as browsers see it
    gateway: rgw.Rgw
    environ: dict[str, str]
    page: str  # origin of the page, which has the module from the service
    log: Path  # of the service
    plain: str  # another origin of it, of plain http; see `PLAIN`

    @property
    def address(self) -> str:
        return str(self.api.base_url).rstrip("/")

    async def digest_of(self, file: Mapping[str, Any]) -> str:
        """SHA-256 of what the file's link gives, in hex."""
        digest = hashlib.sha256()
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as web,
            web.stream("GET", file["presigned_url"]) as answer,
        ):
            assert answer.status_code == 200
            async for chunk in answer.aiter_bytes():
                digest.update(chunk)
        return digest.hexdigest()


@asynccontextmanager
async def open_line(gateway: rgw.Rgw, database_url: str, log: Path) -> AsyncIterator[Line]:
    """The service in a process of its own, on a bucket `line` of the gateway."""
    # A server of its own: browsers let a page reach loopback only from there.
    async with wired(gateway.endpoint_url) as (wire, address), _served_page() as (page, html):
        keys = gateway.owner
        plain = page.replace("localhost", PLAIN)
        store = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
        environ = {
            "DATABASE_URL": database_url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_CORS_ORIGINS": f"{page},{plain}",
            "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
            "AWS_S3_PUBLIC_ENDPOINT_URL": address,
            **store.environ("line"),
        }
        await prepared(environ)
        # RGW 16.2 refuses every upload under the rest of it.
        block_public_access(gateway.client(), "line", "IgnorePublicAcls")
        async with served(environ, log) as service:
            line = Line(service, service.client, wire, address, gateway, environ, page, log, plain)
            html.append(DRIVER % line.address)
            yield line


@asynccontextmanager
async def _served_page() -> AsyncIterator[tuple[str, list[str]]]:
    """A page at a loopback origin, with the scripts that are put into the list."""
    scripts: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        script = "".join(f'<script type="module">{script}</script>' for script in scripts)
        html = f'<!doctype html><title>A page</title><input type="file" multiple>{script}'
        writer.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
            f"Content-Length: {len(html)}\r\nConnection: close\r\n\r\n{html}".encode()
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}", scripts


async def load(page: Page, line: Line) -> None:
    await page.goto(line.page)
    await page.wait_for_selector("[data-ready]", state="attached")


@dataclass
class Files:
    """Files on disk, which keep their times over a reload of the page."""

    folder: Path
    digests: dict[str, str] = field(default_factory=dict)

    def make(self, name: str, size: int) -> Path:
        path = self.folder / name
        text = "".join(
            hashlib.sha256(f"{name} {i}".encode()).hexdigest() * 1024
            for i in range(size // 65536 + 1)
        )
        data = ((PNG if path.suffix == ".png" else b"") + text.encode())[:size]
        path.write_bytes(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return path


async def begin(
    page: Page,
    line: Line,
    paths: list[Path],
    upload: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Choose the files and upload them with `options` for the Uploader."""
    await page.set_input_files("input", paths)
    await page.evaluate(
        "([options, upload]) => begin(options, upload)",
        [{"endpoint": line.address, **options}, dict(upload or {})],
    )


async def outcome(page: Page) -> list[dict[str, Any]]:
    """The stored files or the errors of what `begin` began, in order."""
    async with asyncio.timeout(120):
        found: list[dict[str, Any]] = await page.evaluate("outcome")
    return found
