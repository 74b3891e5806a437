"""The page at `/` and the upload field in the reader's language."""

import re

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.browser.chromium import Watch, watched
from tests.support.browser.steps import listed, payload

FIELD = """<!doctype html><html lang="{lang}"><title>A form</title>
<claimcheck-upload name="file" accept="image/*" required></claimcheck-upload>
<script type="module" src="/static/upload-field.js"></script></html>"""


async def in_language(browser: Browser, service: str, locale: str) -> tuple[Page, list[str]]:
    """The page for a reader of that language, and the files with words that it loads."""
    context = await browser.new_context(locale=locale, timezone_id="Asia/Tokyo")
    page = await context.new_page()
    loaded: list[str] = []
    page.on("request", lambda one: loaded.extend(re.findall(r"/words/(\w+)\.js", one.url)))
    async with page.expect_response(lambda response: "/v1/files?" in response.url):
        await page.goto(service)
    return page, loaded


@pytest.mark.parametrize(
    ("locale", "heading", "language", "loaded"),
    [
        ("en-GB", "Upload files", "en-GB", ["en"]),
        ("fr-CA", "Envoyer des fichiers", "fr-CA", ["en", "fr"]),
        ("zh-CN", "Upload files", "en", ["en"]),
    ],
)
async def test_the_page_speaks_the_browsers_language(
    browser: Browser, service: str, locale: str, heading: str, language: str, loaded: list[str]
) -> None:
    page, asked = await in_language(browser, service, locale)
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    assert await page.evaluate("document.documentElement.lang") == language
    assert await page.evaluate("document.documentElement.dir") == "ltr"
    assert asked == loaded
    await page.context.close()


async def test_in_german_numbers_times_and_refusals_are_german(
    browser: Browser, service: str, picture: bytes
) -> None:
    page, _ = await in_language(browser, service, "de-AT")
    await page.get_by_label("Hochladen nach").select_option("images")
    choose = page.get_by_label("Dateien auswählen")
    await choose.set_input_files(payload("notizen.txt", b"x", "text/plain"))
    await expect(page.get_by_role("alert")).to_have_text(
        "Dateien dieses Typs passen hier nicht „\u2068notizen.txt\u2069“ ist text/plain. "
        "Möglich ist: jedes Bild."
    )
    await choose.set_input_files(payload("bild.png", picture + bytes(1500)))
    row = listed(page, "bild.png")
    await expect(row).to_contain_text("2,18 KiB")
    await expect(row.locator("time .ago")).to_have_text(re.compile("jetzt|vor "))
    # Where the reader is, and the zone on hover.
    title = await row.locator("time").get_attribute("title")
    assert title
    assert "Japan" in title
    await page.context.close()


async def test_arabic_runs_from_right_to_left(
    browser: Browser, service: str, picture: bytes
) -> None:
    page, loaded = await in_language(browser, service, "ar-EG")
    assert loaded == ["en", "ar"]
    assert await page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    await page.locator("#destination").select_option("images")
    await page.locator("#choose").set_input_files(payload("صورة.png", picture))
    row = listed(page, "صورة.png").first
    thumb, actions = row.locator(".thumb"), row.locator(".actions")
    await expect(thumb).to_be_visible()
    right, left = await thumb.bounding_box(), await actions.bounding_box()
    assert right
    assert left
    assert right["x"] > left["x"]
    await row.locator(".open").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(row.locator(".copy")).to_be_focused()
    await page.context.close()


async def test_where_words_cannot_be_loaded_it_stays_english(
    browser: Browser, service: str
) -> None:
    context = await browser.new_context(locale="ja")
    page = await context.new_page()

    async def lose(route: Route) -> None:
        await route.abort()

    await page.route("**/words/ja.js", lose)
    await page.goto(service)
    await expect(page.get_by_text("Takes ")).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == "en"
    await context.close()


@pytest.mark.parametrize(
    ("lang", "call", "required", "direction"),
    [
        ("de", "Datei auswählen", "Wählen Sie eine Datei aus.", "ltr"),
        ("ar", "اختيار ملف", "اختر ملفًا.", "rtl"),
        ("xx-not a tag", "Choose a file", "Choose a file.", "ltr"),
    ],
)
async def test_the_field_speaks_the_language_of_its_page(
    browser: Browser,
    service: str,
    watch: Watch,
    lang: str,
    call: str,
    required: str,
    direction: str,
) -> None:
    async with watched(browser, watch) as context:
        page = await context.new_page()

        async def form(route: Route) -> None:
            body = FIELD.format(lang=lang)
            await route.fulfill(body=body, content_type="text/html; charset=utf-8")

        await page.route("**/form", form)
        await page.goto(f"{service}/form")
        field = page.locator("claimcheck-upload")
        await expect(field.locator(".call")).to_have_text(call)
        flow = "field => getComputedStyle(field.shadowRoot.firstElementChild).direction"
        assert await field.evaluate(flow) == direction
        await field.evaluate(
            "field => field.dispatchEvent(new Event('invalid', {cancelable: true}))"
        )
        await expect(field.get_by_role("alert")).to_have_text(required)
    assert watch.complaints == []


async def test_what_the_service_says_itself_is_marked_as_english(
    browser: Browser, service: str, picture: bytes
) -> None:
    page, _ = await in_language(browser, service, "es")

    async def refuse(route: Route) -> None:
        problem = {"type": "urn:x:y", "title": "No luck", "detail": "Not today.", "status": 403}
        await route.fulfill(status=403, content_type="application/problem+json", json=problem)

    await page.route("**/v1/uploads", refuse)
    await page.locator("#choose").set_input_files(payload("a.png", picture))
    alert = page.locator("#uploads").get_by_role("alert")
    await expect(alert).to_have_text("No luck Not today.")
    assert await alert.get_attribute("lang") == "en"
    await expect(page.locator("#uploads > li")).to_contain_text("Rechazado")
    await page.context.close()
