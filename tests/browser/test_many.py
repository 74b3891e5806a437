"""The page at `/` with many uploads at once, for everybody: folders, paste, pause, axe."""

import os
from pathlib import Path

import httpx
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.browser.chromium import Watch
from tests.support.browser.steps import listed, payload, slow_down, stored, under_way

BINARY = "application/octet-stream"


async def choose(page: Page, *files: tuple[str, int], destination: str = "files") -> None:
    await page.get_by_label("Upload to").select_option(destination)
    chosen = [payload(name, bytes(size), BINARY) for name, size in files]
    await page.get_by_label("Choose files").set_input_files(chosen)


async def test_many_files_have_one_progress_and_one_word_at_the_end(
    page: Page, context: BrowserContext
) -> None:
    speed_up = await slow_down(context, page, 1_000)
    await choose(page, *((f"many {number}.bin", 40_000) for number in range(8)))
    total = page.get_by_role("group", name="All uploads")
    await expect(total).to_contain_text("of 8 files")
    await speed_up()
    await expect(page.get_by_role("status")).to_have_text("8 files are uploaded.")
    await expect(total).to_be_hidden()
    await expect(page.locator("#uploads > li")).to_have_count(0)
    for number in range(8):
        await expect(listed(page, f"many {number}.bin")).to_have_count(1)


async def test_one_is_paused_and_resumed_while_the_focus_stays(
    page: Page, context: BrowserContext, api: httpx.AsyncClient
) -> None:
    speed_up = await slow_down(context, page, 1_000)
    await choose(page, ("paused.bin", 400_000))
    row = under_way(page, "paused.bin")
    await row.get_by_role("button", name="Pause paused.bin").press("Enter")
    await expect(row).to_contain_text("Paused, 0 bytes of 391 KiB")
    resume = row.get_by_role("button", name="Resume paused.bin")
    await expect(resume).to_be_focused()
    await resume.press("Enter")
    await expect(row.get_by_role("button", name="Pause paused.bin")).to_be_focused()
    await speed_up()
    await expect(listed(page, "paused.bin")).to_be_visible()
    [file] = await stored(api, "paused.bin")
    assert file["size"] == 400_000


async def test_all_are_paused_resumed_and_cancelled(
    page: Page, context: BrowserContext, api: httpx.AsyncClient
) -> None:
    await slow_down(context, page)
    await choose(page, *((f"all {number}.bin", 500_000) for number in range(6)))
    rows = page.locator("#uploads > li")
    await page.get_by_role("button", name="Pause all", exact=True).click()
    await expect(rows.filter(has_text="Paused")).to_have_count(6)
    await page.get_by_role("button", name="Resume all", exact=True).click()
    await expect(rows.filter(has_text="Paused")).to_have_count(0)
    await page.get_by_role("button", name="Cancel all", exact=True).click()
    await expect(rows).to_have_count(0)
    await expect(page.get_by_role("status")).to_have_text("Cancelled.")
    assert await page.evaluate("localStorage.length") == 0
    for number in range(6):
        assert await stored(api, f"all {number}.bin") == []


async def test_a_folder_is_uploaded_with_what_lies_in_its_folders(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("outer.txt", "inner/deep.txt", ".DS_Store"):
        (tmp_path / name).write_text(name)
    await page.get_by_label("Upload to").select_option("files")
    await page.get_by_label("Choose a folder").set_input_files(tmp_path)
    await expect(listed(page, "outer.txt")).to_be_visible()
    await expect(listed(page, "deep.txt")).to_be_visible()
    await expect(listed(page, ".DS_Store")).to_have_count(0)


async def test_a_dropped_folder_that_was_sent_but_not_confirmed_is_not_mixed_up(
    page: Page, context: BrowserContext, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    bodies = {name: name.encode() * 9 for name in ("a", "b")}
    for name, body in bodies.items():
        path = tmp_path / "scans" / name / "IM0001"
        path.parent.mkdir(parents=True)
        path.write_bytes(body)
        os.utime(path, (1_700_000_000, 1_700_000_000))

    async def drop() -> None:
        session = await context.new_cdp_session(page)
        await page.get_by_label("Upload to").select_option("files")
        data = {"items": [], "files": [str(tmp_path / "scans")], "dragOperationsMask": 1}
        for event in ("dragEnter", "dragOver", "drop"):
            await session.send(
                "Input.dispatchDragEvent", {"type": event, "x": 400, "y": 300, "data": data}
            )

    async def never(route: Route) -> None:
        """So that none is confirmed before the page goes."""

    await page.route("**/confirm", never)
    await drop()
    await page.wait_for_function("() => Object.keys(localStorage).length === 2")
    keys = await page.evaluate("Object.keys(localStorage)")
    assert [sum(f"scans/{name}/IM0001" in key for key in keys) for name in "ab"] == [1, 1]
    await page.goto("about:blank")
    await page.unroute_all()
    await page.goto(str(api.base_url))
    await drop()
    await expect(listed(page, "IM0001")).to_have_count(2)
    files = await stored(api, "IM0001")
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        found = [(await web.get(file["presigned_url"])).content for file in files]
    assert sorted(found) == sorted(bodies.values())


async def test_what_is_pasted_is_uploaded(page: Page, picture: bytes) -> None:
    await page.get_by_label("Upload to").select_option("images")
    await page.evaluate(
        """(bytes) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(
            new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
        }""",
        list(picture),
    )
    await expect(listed(page, "pasted.png")).to_be_visible()


async def test_a_token_is_asked_for_where_the_service_wants_one(
    page: Page, service: str, watch: Watch
) -> None:
    seen: list[str | None] = []

    async def check(route: Route) -> None:
        seen.append(await route.request.header_value("Authorization"))
        if seen[-1] == "Bearer the-token":
            await route.continue_()
        else:
            problem = {"title": "Not signed in", "detail": "Send a token.", "status": 401}
            await route.fulfill(status=401, content_type="application/problem+json", json=problem)

    await page.route(lambda url: url.startswith(f"{service}/v1/"), check)
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("Sign in with an access token")
    await page.get_by_label("Access token").fill("the-token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Choose files")).to_be_enabled()
    await expect(page.get_by_label("Access token")).to_be_hidden()
    await expect(page.get_by_role("alert")).to_be_hidden()
    assert seen[0] is None
    watch.expect("401")
