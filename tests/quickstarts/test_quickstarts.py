"""The quickstarts of docs/quickstarts/, each as its page says: installed, built, served, used.

The folder of the example is copied. Three things are others in the copy and in the page's commands:
the port of the example, the address of the service and, in the Content-Security-Policy, the origins
that scripts may connect to, which are those two that they need and no more.
"""

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.quickstarts.bench import MIB, Bench
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.packages import needs_npm
from tests.support.samples import PNG
from tests.support.service import as_set
from tests.support.stores import Server, rgw, wait_for_http

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "quickstarts"
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.stem for path in PAGES.glob("*.md"))
WITH_BACK_ENDS = {"django", "fastapi", "nextjs", "sveltekit"}
SIZE = 20 * MIB
# Examples are not to find what is installed for this project.
PATH = os.pathsep.join(
    folder
    for folder in os.environ["PATH"].split(os.pathsep)
    if Path(folder) != Path(sys.executable).parent
)


def blocks(name: str) -> list[tuple[str, str]]:
    """The language and the text of each block of the page."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def sources(folder: Path) -> list[Path]:
    """The files of an example that are written by hand."""
    left_out = {"node_modules", "dist", ".next", ".svelte-kit", ".venv", "__pycache__"}
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not left_out.intersection(path.relative_to(folder).parts)
        and path.name not in {"package-lock.json", "requirements.txt"}
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_the_folder_has(name: str) -> None:
    files = [path.read_text(encoding="utf-8") for path in sources(EXAMPLES / name)]
    for language, text in blocks(name):
        assert language == "bash" or any(text in file for file in files), text
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 80
    for heading in ("## Content-Security-Policy", "## For production"):
        assert heading in page


@pytest.mark.parametrize("name", NAMES)
def test_what_is_installed_is_pinned_and_names_no_registry(name: str) -> None:
    for path in EXAMPLES.joinpath(name).glob("package*.json"):
        text = path.read_text(encoding="utf-8")
        assert '"resolved"' not in text
        assert not re.search(r'": "[\^~]', text) or path.name == "package-lock.json"
    for path in EXAMPLES.joinpath(name).glob("requirements.txt"):
        text = path.read_text(encoding="utf-8")
        assert text.count("--hash") >= len(re.findall("^[a-z]", text, re.MULTILINE)) > 0


@contextmanager
def running(command: str, at: Path, environ: dict[str, str], url: str) -> Iterator[None]:
    """A command that serves the URL, stopped with all that it started."""
    log = at / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-euc", command],
            cwd=at,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for_http(url, [Server(process, log)])
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(name: str, bench: Bench) -> httpx.AsyncClient:
    return bench.keyed if name in WITH_BACK_ENDS else bench.open


@pytest.fixture
def origin(name: str, bench: Bench, api: httpx.AsyncClient, tmp_path: Path) -> Iterator[str]:
    """The example as its page has it installed, built and served."""
    start, commands = (text for language, text in blocks(name) if language == "bash")
    install, _, serve = commands.rstrip().rpartition("\n")
    assert "CLAIMCHECK_CORS_ORIGINS=http://localhost:5173 make run" in start
    assert install.startswith(f"cd examples/{name}")
    folder = tmp_path / name
    unwanted = shutil.ignore_patterns("node_modules", "dist", ".next", ".svelte-kit", ".venv")
    shutil.copytree(EXAMPLES / name, folder, ignore=unwanted)
    service = str(api.base_url).rstrip("/")

    def here(text: str) -> str:
        text = text.replace("http://127.0.0.1:*", f"{service} {bench.bucket}")
        return text.replace("http://127.0.0.1:8000", service).replace("5173", str(bench.port))

    for path in sources(folder):
        path.write_text(here(path.read_text(encoding="utf-8")), encoding="utf-8")
    environ = as_set({"PATH": PATH, "CLAIMCHECK_KEY": bench.key, "NEXT_TELEMETRY_DISABLED": "1"})
    environ |= {"npm_config_prefer_offline": "true", "npm_config_update_notifier": "false"}
    done = subprocess.run(
        ["bash", "-euc", here(install.partition("\n")[2])],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    url = f"http://localhost:{bench.port}"
    with running(here(serve), folder, environ, url):
        yield url


async def choose(page: Page, name: str, path: Path) -> None:
    """Choose the file; Uppy wants to be told to begin, too."""
    again = page.get_by_role("button", name="Re-select")
    if name == "uppy" and await again.count():
        await again.click()
    await page.set_input_files("input[type=file] >> nth=0", path)
    if name == "uppy":
        await page.get_by_role("button", name="Upload 1 file").click()


@needs_npm
@pytest.mark.slow
@pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))
async def test_quickstart(
    name: str,
    origin: str,
    bench: Bench,
    api: httpx.AsyncClient,
    browser: Browser,
    watch: Watch,
    tmp_path: Path,
) -> None:
    """20 MB go on after a reload in the middle; their link serves them; text is refused."""
    async with watched(browser, watch) as context:
        page = await context.new_page()
        await page.goto(origin)
        large = tmp_path / f"{name}-{secrets.token_hex(4)}.png"
        body = PNG + secrets.token_bytes(SIZE - len(PNG))
        large.write_bytes(body)
        await send_half(page, name, large)
        await page.reload()
        if name == "uppy":
            await expect(page.get_by_text("Session restored")).to_be_visible()
        await page.unroute_all()  # which lets go of what is held: not before the page is gone
        again = parts_sent(page)
        await choose(page, name, large)
        await is_shown(page, name, large.name, body)
        assert again == {"3": 1, "4": 1}
        [stored] = await found(api, large.name)
        assert (stored["size"], stored["content_type"]) == (SIZE, "image/png")
        watch.allow("409")

        await page.goto(origin)
        text = tmp_path / f"{name}-notes.txt"
        text.write_text("notes")
        await is_refused(page, name, text)
        assert await found(api, text.name) == []
        watch.allow("422")

        assert watch.complaints == []
        service = str(api.base_url).rstrip("/")
        assert watch.origins - {"blob://"} <= {origin, service, bench.bucket}  # blobs: thumbnails
        await connects_nowhere_else(page, watch)


def parts_sent(page: Page) -> Counter[str]:
    """The numbers of the parts that the page sends from now on, and how often."""
    sent: Counter[str] = Counter()

    def count(request: Request) -> None:
        number = re.search(r"[?&]partNumber=(\d+)", request.url)
        if number and request.method == "PUT":
            sent[number[1]] += 1

    page.on("request", count)
    return sent


async def send_half(page: Page, name: str, large: Path) -> None:
    """Send the file until the bucket has two parts of four, and another is on its way."""
    on_its_way, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def never(route: Route) -> None:
        """It does not arrive before the reload."""
        on_its_way.set()

    def count(request: Request) -> None:
        if "partNumber=" in request.url and request.method == "PUT":
            arrived.release()

    page.on("requestfinished", count)
    await page.route(re.compile(r"[?&]partNumber=[34]\b"), never)
    await choose(page, name, large)
    async with asyncio.timeout(60):
        await arrived.acquire()
        await arrived.acquire()
        await on_its_way.wait()


async def found(api: httpx.AsyncClient, part: str) -> list[dict[str, object]]:
    """The service's files with that part in their names."""
    answer = await api.get("/v1/files", params={"q": part})
    items: list[dict[str, object]] = answer.raise_for_status().json()["items"]
    return items


async def is_shown(page: Page, name: str, filename: str, body: bytes) -> None:
    """Wait for the link, and see that it serves the file."""
    if name in {"django", "fastapi"}:
        await page.get_by_role("button", name="Save").click()
    called = filename if name == "uppy" else "open"
    link = page.get_by_role("link", name=called)
    await expect(link).to_have_count(1)
    href = await link.get_attribute("href")
    assert href is not None
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        assert (await web.get(href)).content == body


async def is_refused(page: Page, name: str, text: Path) -> None:
    """Choose a text, and see the page say that it takes pictures alone."""
    await page.set_input_files("input[type=file] >> nth=0", text)
    says = "You can only upload: image/*" if name == "uppy" else "takes any image"
    await expect(page.get_by_text(says).first).to_be_visible()


async def connects_nowhere_else(page: Page, watch: Watch) -> None:
    """See that the page has a Content-Security-Policy, which lets nothing else be asked."""
    await page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    watch.expect("Content Security Policy")
