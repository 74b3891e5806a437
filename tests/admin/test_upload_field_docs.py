"""docs/upload-field.md and the example that it shows, run as they stand but for addresses."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from playwright.async_api import Page, Route, expect

from tests.admin.shop import MIB, ROOT, Shop
from tests.admin.steps import choose, create, png, uploaded
from tests.support.browser.chromium import Watch
from tests.support.service import as_set
from tests.support.stores import free_port

GUIDE = (ROOT / "docs" / "upload-field.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "examples" / "shop_admin.py").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    [found] = [one for one in blocks if containing in one]
    return found


def test_the_guide_shows_the_example() -> None:
    for containing in ("class Product(Base)", "plugins = ["):
        for part in block("python", containing).split("\n\n\n"):
            assert part.strip() in EXAMPLE


async def test_the_command_of_the_guide_serves_the_example(shop: Shop, tmp_path: Path) -> None:
    port = free_port()
    command = block("bash", "uvicorn examples.shop_admin:app").replace("5173", str(port))
    assert "http://127.0.0.1:8000" in command
    command = command.replace("http://127.0.0.1:8000", shop.service)
    bin_ = Path(sys.executable).parent
    assert " .venv/bin/uvicorn" in command
    command = command.replace(".venv/bin", str(bin_))
    environ = {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "SHOP_DATABASE": f"sqlite:///{tmp_path / 'shop.db'}",
    }
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", f"exec env {command}"), env=as_set(environ), cwd=ROOT
    )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
            for _ in range(2400):
                try:
                    answer = await web.get(f"http://localhost:{port}/admin/product/create")
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
        assert "<claimcheck-upload" in answer.text
        assert f"{shop.service}/static/upload-field.js" in answer.text
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def test_the_form_of_the_guide_works_under_a_strict_policy(
    page: Page, shop: Shop, picture: bytes
) -> None:
    await page.goto(f"{shop.url}/form")
    photo = page.locator("claimcheck-upload")
    await page.get_by_role("button", name="Save").click()
    await expect(photo.get_by_role("alert")).to_have_text("Choose a file.")
    await choose(photo, png("reset.png", picture))
    await uploaded(photo)
    await expect(photo.locator("canvas")).to_be_visible()
    # It is reset and disabled as other inputs are.
    await page.evaluate("document.forms[0].reset()")
    await expect(photo.get_by_role("listitem")).to_have_count(0)
    for disabled in (True, False):
        await page.evaluate("(is) => (document.querySelector('fieldset').disabled = is)", disabled)
        names = await page.evaluate("[...new FormData(document.forms[0]).keys()]")
        assert names == ([] if disabled else ["photo"])
    await choose(photo, png("photo.png", picture))
    await uploaded(photo)
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("body")).to_contain_text(re.compile(r"Kept: http.*--photo\.png"))
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        for tampered in ("", "x", "http://127.0.0.1/shop/images/a.png"):
            answer = await web.post(f"{shop.url}/form", data={"photo": tampered})
            assert (answer.status_code, answer.text) == (422, "That is no photo of ours.")


async def test_in_a_session_that_is_given_again_an_upload_goes_on_after_a_reload(
    page: Page, shop: Shop, picture: bytes, tmp_path: Path, watch: Watch
) -> None:
    made: dict[str, Any] = {}

    async def again(route: Route) -> None:
        if not made:
            made.update(await (await route.fetch()).json(), resumable=True)
        await route.fulfill(json=made)

    await page.route("**/upload-session", again)
    page.on("dialog", lambda dialog: asyncio.create_task(dialog.accept()))
    path = tmp_path / "large.png"
    path.write_bytes(picture.ljust(20 * MIB, b"\0"))
    await page.goto(f"{shop.url}/form")
    photo = page.locator("claimcheck-upload")
    # Two parts of 5 MiB are on their way at once: one at least has arrived then.
    shop.wire.stop_after(13 * MIB)
    await choose(photo, path)
    await shop.wire.stopped()
    await page.reload()
    sent = shop.wire.sent
    shop.wire.go_on()
    await choose(photo, path)
    await uploaded(photo)
    assert shop.wire.sent - sent < 16 * MIB
    watch.allow("409")  # it had begun with every part, and asks whether they have arrived
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("body")).to_contain_text(re.compile(r"Kept: http.*--large\.png"))


async def test_links_for_an_api(page: Page, shop: Shop, picture: bytes, monkeypatch: Any) -> None:
    url = await create(page, shop, "Linked", png("linked.png", picture))
    monkeypatch.setenv("CLAIMCHECK_URL", shop.service)
    monkeypatch.setenv("CLAIMCHECK_KEY", shop.key["Authorization"].removeprefix("Bearer "))
    names: dict[str, Any] = {}
    exec(block("python", "def presigned_images"), names)
    images = {1: url, 2: None, 3: "https://elsewhere.example.com/a.png"}
    products = [SimpleNamespace(id=pk, image=image) for pk, image in images.items()]
    links = await asyncio.to_thread(names["presigned_images"], products)
    assert await asyncio.to_thread(names["presigned_images"], products[1:2]) == {}
    names["claimcheck"].close()
    assert list(links) == [1]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        assert (await web.get(links[1])).content == picture
