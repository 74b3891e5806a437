"""Headless Chromium, and what it did and complained of."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Playwright, expect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# How long a machine that does much else may take for what comes anyhow; Playwright's own is 5 s.
TIMEOUT = 60_000
expect.set_options(timeout=TIMEOUT)


@asynccontextmanager
async def launched(playwright: Playwright, *flags: str) -> AsyncIterator[Browser]:
    """Chromium as the machine has it, which must have one.

    Where Debian's `chromium-headless-shell` is installed beside it, that: the same engine without
    the windows around it, of which each profile has some, takes a third of the processor's time.
    """
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *flags])
    yield browser
    await browser.close()


@dataclass
class Watch:
    """The origins that a browser context asked, and its complaints.

    Violations of the Content-Security-Policy are among the complaints. A test that provokes one
    takes it from the list; whatever is left at the end fails the test.
    """

    origins: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def allow(self, text: str) -> None:
        """Pass over complaints with `text` in them, if there are any."""
        self.complaints[:] = [complaint for complaint in self.complaints if text not in complaint]

    def expect(self, text: str, times: int = 1) -> None:
        """Take `times` complaints with `text` in them from the list; fail if they are not there."""
        for _ in range(times):
            found = [complaint for complaint in self.complaints if text in complaint]
            assert found, f"{text!r} is not among {self.complaints}"
            self.complaints.remove(found[0])


@asynccontextmanager
async def watched(browser: Browser, watch: Watch) -> AsyncIterator[BrowserContext]:
    """A fresh profile; its complaints go to `watch`.

    But for icons: where a file or bare text fills a tab, browsers ask for one of their own accord.
    """
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(TIMEOUT)

    def on_console(message: ConsoleMessage) -> None:
        url = message.location["url"]
        if message.type in ("error", "warning") and not url.endswith("/favicon.ico"):
            watch.complaints.append(f"{message.text} {url}")

    context.on("console", on_console)
    context.on("weberror", lambda event: watch.complaints.append(str(event.error)))
    context.on("request", lambda request: watch.origins.add(origin_of(request.url)))
    yield context
    await context.close()


def origin_of(url: str) -> str:
    """The origin of an absolute URL, as browsers write it (RFC 6454, section 6.2)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
