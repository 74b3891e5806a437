"""Looks at the panel's pages with axe."""

from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Page


@dataclass(frozen=True)
class Inspector:
    """axe, which looks at a page at the width of a desktop's window and of a telephone."""

    script: str
    found: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, packages: Path) -> "Inspector":
        return cls((packages / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))

    async def look(self, page: Page) -> None:
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            found = await page.evaluate(
                self.script + "; axe.run().then(({ violations }) => violations)"
            )
            self.found.extend(
                f"{page.url} at {width} pixels: {one['id']}: {node['html'][:200]} "
                f"{node['failureSummary']}"
                for one in found
                for node in one["nodes"]
            )
