"""Looks at pages with axe: by WCAG 2.2, levels A and AA, and by axe's own good practice."""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Page

WIDTHS = (390, 1280)  # of a telephone, and of a desktop's window
SCHEMES = ("dark", "light")  # it leaves the page in the last
# The size of targets is the one rule of WCAG 2.2 that axe does not look at by itself. What it would
# load before is for a rule that is off, and breaks a strict Content-Security-Policy.
_RUN = """; (within) => axe
  .run(within ? [...document.querySelectorAll(within)] : document,
    { preload: false, rules: { "target-size": { enabled: true } } })
  .then(({ violations }) => violations)"""
_CUT = """[...document.querySelectorAll(".table-responsive")]
  .filter((place) => place.scrollWidth > place.clientWidth)
  .map((place) => place.innerText.slice(0, 80))"""
LOOKS = Path(os.environ["LOOKS"]) if "LOOKS" in os.environ else None


@dataclass(frozen=True)
class Inspector:
    """axe, which looks at a page in both colour schemes, at the width of a telephone's screen and
    of a desktop's window. It takes pictures of them too, into the folder that LOOKS names.
    """

    script: str
    found: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, packages: Path) -> "Inspector":
        return cls((packages / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))

    async def look(
        self, page: Page, passing_over: Collection[str] = (), within: str | None = None
    ) -> None:
        """Add what it finds to `found`, but for the rules in `passing_over`; and what a page is
        wider than its window, or a table than its place. `within` is a selector, for pages that are
        not all ours.
        """
        for scheme in SCHEMES:
            await page.emulate_media(
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",  # or it would look at colours on their way to others
            )
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 900})
                at = f"{page.url}, {scheme}, at {width} pixels"
                if LOOKS:
                    name = re.sub(r"\W+|[0-9a-f-]{36}", "-", urlsplit(page.url).path)
                    number = len(list(LOOKS.iterdir()))
                    await page.screenshot(path=LOOKS / f"{number:03}{name}-{scheme}-{width}.png")
                self.found.extend(
                    f"{at}: {one['id']}: {node['html'][:200]} {node['failureSummary']}"
                    for one in await page.evaluate(self.script + _RUN, within)
                    if one["id"] not in passing_over
                    for node in one["nodes"]
                )
                whole = await page.evaluate("document.documentElement.scrollWidth")
                if whole > width:
                    self.found.append(f"{at}: the page is {whole} pixels wide")
                for table in await page.evaluate(_CUT):
                    self.found.append(f"{at}: a table's last columns are out of sight: {table}")
