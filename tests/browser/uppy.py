"""Real Uppy in a page: bundled from npm, and a wire to the bucket that can be cut."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.browser.packages import run

GUIDE = (Path(__file__).parents[2] / "docs" / "uppy.md").read_text(encoding="utf-8")
MAJORS = (5, 6)

# After the guide's own code: what the tests drive it with, and look at.
DRIVER = """
globalThis.uppy = uppy;
globalThis.plugin = () => uppy.getPlugin("AwsS3") ?? uppy.getPlugin("AwsS3Multipart");
globalThis.errors = [];
globalThis.parts = [];
uppy.on("upload-error", (file, error) => errors.push(error.message));
uppy.on("s3-multipart:part-uploaded", (file, part) => parts.push(part.PartNumber));

// The same bytes for the same size, each 4 of them different.
globalThis.made = (name, size, type) => {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2654435761);
  return new File([new Blob([words]).slice(0, size)], name, { type });
};
globalThis.add = (name, size, type = "") => {
  const data = made(name, size, type);
  return uppy.addFile({ name, type, data });
};
globalThis.digest = async (id) => {
  const bytes = await uppy.getFile(id).data.arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
};
"""


def guides_code(api: str, destination: str, token: str = "any") -> str:
    """The guide's example, for the service at this address, this destination and this token."""
    [code] = re.findall(r"```js\n(import .*?)```", GUIDE, re.DOTALL)
    for written, wanted in (
        ("http://127.0.0.1:8000", api),
        ('= "files"', f'= "{destination}"'),
        ("claimcheck_upload_...", token),
    ):
        assert written in code
        code = code.replace(written, wanted)
    return str(code) + DRIVER


def guides_retry() -> str:
    """The guide's lines that offer to retry."""
    [code] = re.findall(r"```js\n(retry.*?)```", GUIDE, re.DOTALL)
    return str(code)


def guides_size() -> str:
    """The guide's line that lets Uppy say the size."""
    [code] = re.findall(r"```js\n(uppy\.on\(\"file-added.*?)```", GUIDE, re.DOTALL)
    return str(code)


def bundled(folder: Path, major: int, code: str) -> bytes:
    """One script of that code and the major's packages."""
    out = folder / "bundle.js"
    esbuild = folder / "node_modules" / ".bin" / "esbuild"
    run(
        *(esbuild, "--bundle", "--format=iife", "--log-level=warning", f"--outfile={out}"),
        at=folder / f"v{major}",
        text=code,
    )
    return out.read_bytes()


@contextmanager
def pages(origin: str, scripts: Mapping[str, bytes]) -> Iterator[None]:
    """A page of the origin for each script, at `/` and its name."""

    files = {f"/{name}.js": ("text/javascript", body) for name, body in scripts.items()}
    for name in scripts:
        html = f'<!doctype html><title>Uppy {name}</title><script src="/{name}.js"></script>'
        files[f"/{name}"] = "text/html", html.encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content_type, body = files.get(self.path, ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", urlsplit(origin).port or 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()
