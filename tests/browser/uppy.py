"""Real Uppy in a page: bundled from npm, and a wire to the bucket that can be cut."""

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

PACKAGES = Path(__file__).with_name("npm")
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


def guides_code(api: str, destination: str) -> str:
    """The guide's example, for the service at this address and this destination."""
    [code] = re.findall(r"```js\n(import .*?)```", GUIDE, re.DOTALL)
    for written, wanted in (("http://127.0.0.1:8000", api), ('= "files"', f'= "{destination}"')):
        assert written in code
        code = code.replace(written, wanted)
    return str(code) + DRIVER


def installed(folder: Path) -> None:
    """The packages of the lock file, which npm checks by their hashes."""
    shutil.copytree(PACKAGES, folder, dirs_exist_ok=True)
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", at=folder)


def bundled(folder: Path, major: int, code: str) -> bytes:
    """One script of that code and the major's packages."""
    out = folder / "bundle.js"
    esbuild = folder / "node_modules" / ".bin" / "esbuild"
    _run(
        *(esbuild, "--bundle", "--format=iife", "--log-level=warning", f"--outfile={out}"),
        at=folder / f"v{major}",
        text=code,
    )
    return out.read_bytes()


def _run(*command: str | Path, at: Path, text: str = "") -> None:
    run = subprocess.run(
        command, cwd=at, input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr


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


class Wire:
    """Bytes between a browser and the bucket, counted upwards; `cut` breaks connections."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._cuts: list[int] = []
        self._gate = asyncio.Event()
        self._gate.set()
        self._stop_at: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.stopped = asyncio.Event()

    def cut(self, *after: int) -> None:
        """Break the next connections on which as many bytes came, in that order."""
        self._cuts += after

    @property
    def cuts_left(self) -> int:
        return len(self._cuts)

    def stop_after(self, size: int) -> None:
        """Let as many bytes pass from now on, then none until `go_on`; `stopped` says so."""
        self._stop_at = self.sent + size
        self.stopped.clear()

    def go_on(self) -> None:
        self._stop_at = None
        self._gate.set()

    async def break_all(self) -> None:
        """Break every connection; what is held up in them gets lost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(*self._to)
        down = asyncio.create_task(self._copy(there, writer))
        came = 0
        try:
            while data := await reader.read(1 << 16):
                came += len(data)
                self.sent += len(data)
                if self._cuts and came >= self._cuts[0]:
                    self._cuts.pop(0)
                    writer.transport.abort()
                    break
                if self._stop_at is not None and self.sent >= self._stop_at:
                    self._gate.clear()
                    self.stopped.set()
                await self._gate.wait()
                here.write(data)
                await here.drain()
        except OSError:
            pass
        finally:
            down.cancel()
            for end in (here, writer):
                end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the server at `url`, and the address of its near end."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    wire = Wire(parts.hostname, parts.port)
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield wire, f"http://127.0.0.1:{port}"
    finally:
        server.close()
        await wire.break_all()
