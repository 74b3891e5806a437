"""The API reference at `/docs`: vendored, offline, and able to call the service."""

from playwright.async_api import BrowserContext, expect

from tests.support.browser.chromium import Watch


async def test_the_reference_loads_and_try_it_out_calls_the_service(
    context: BrowserContext, service: str, watch: Watch
) -> None:
    page = await context.new_page()
    await page.goto(f"{service}/docs")
    operation = page.locator(".opblock-get").filter(has_text="/v1/destinations")
    await operation.get_by_role("button").first.click()
    await operation.get_by_role("button", name="Try it out").click()
    async with page.expect_response(f"{service}/v1/destinations") as response:
        await operation.get_by_role("button", name="Execute").click()
    assert (await response.value).status == 200
    answer = operation.locator(".live-responses-table")
    await expect(answer.locator(".response-col_status").last).to_contain_text("200")
    await expect(answer).to_contain_text('"images"')
    assert watch.origins == {service}


async def test_the_reference_lists_every_operation_of_the_specification(
    context: BrowserContext, service: str
) -> None:
    page = await context.new_page()
    async with page.expect_response(f"{service}/openapi.json") as response:
        await page.goto(f"{service}/docs")
    paths = (await (await response.value).json())["paths"]
    assert "/v1/uploads" in paths
    assert "/docs" not in paths
    operations = sum(len(methods) for methods in paths.values())
    await expect(page.locator(".opblock")).to_have_count(operations)
