"""The composable for Vue 3, in Chromium."""

import pytest
from playwright.async_api import BrowserContext, expect

from tests.support.browser.packages import needs_npm
from tests.support.browser.site import Site


@needs_npm
@pytest.mark.slow
async def test_chosen_and_dropped_files_are_shown_until_they_are_stored(
    context: BrowserContext, site: Site
) -> None:
    page = await context.new_page()
    await page.goto(site.page("vue.js"))
    await page.set_input_files("input", [{"name": "vue.txt", "mimeType": "", "buffer": b"x"}])
    await page.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File(["y"], "dropped.txt"));
          const zone = document.querySelector("section");
          const how = { dataTransfer, bubbles: true, cancelable: true };
          zone.dispatchEvent(new DragEvent("dragover", how));
        }"""
    )
    await expect(page.locator("section")).to_have_attribute("data-over", "true")
    await page.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File(["y"], "dropped.txt"));
          const how = { dataTransfer, bubbles: true, cancelable: true };
          document.querySelector("section").dispatchEvent(new DragEvent("drop", how));
        }"""
    )
    await expect(page.locator("[data-state=stored]")).to_have_text(["vue.txt", "dropped.txt"])
    await expect(page.locator("section")).to_have_attribute("data-over", "false")
