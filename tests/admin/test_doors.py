"""Who is kept out, as a browser has it: by wrong passwords, and by forms of other sites."""

import asyncpg
import pytest
from playwright.async_api import Page, Response, expect

from app.staff.accounts import MAX_OF_ACCOUNT_THERE
from tests.admin.panel import NAME, PASSWORD
from tests.admin.shop import Shop
from tests.support.browser.chromium import Watch

# A form for another key, as any page of the web may hold it.
FORM = """([address, token]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: address });
  const fields = { name: "planted", scopes: "admin", days: "0", csrftoken: token };
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}"""


async def sign_in(page: Page, shop: Shop, password: str = PASSWORD) -> None:
    await page.goto(f"{shop.service}/admin/keys")
    await attempt(page, password)
    await expect(page.get_by_role("heading", name="API keys")).to_be_visible()


async def attempt(page: Page, password: str) -> None:
    if not await page.get_by_label("Name or e-mail address").input_value():
        await page.get_by_label("Name or e-mail address").fill(NAME)
    await page.get_by_label("Password").fill(password)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Sign in").click()


async def planted(shop: Shop) -> int:
    """How many keys there are that a form of another site has made."""
    db = await asyncpg.connect(shop.service_database)
    count = await db.fetchval("SELECT count(*) FROM api_keys WHERE name = 'planted'")
    await db.close()
    return int(count)


async def test_the_first_page_leads_to_the_panel(page: Page, shop: Shop, watch: Watch) -> None:
    await page.goto(shop.service)
    await expect(page.get_by_role("alert")).to_contain_text("Sign in")
    watch.expect("401")
    await page.get_by_role("link", name="Admin panel").click()
    await expect(page.get_by_label("Name or e-mail address")).to_be_visible()
    assert page.url.startswith(f"{shop.service}/admin/login?")


async def test_too_many_wrong_passwords(page: Page, shop: Shop, watch: Watch) -> None:
    await page.goto(f"{shop.service}/admin/files")
    for _ in range(MAX_OF_ACCOUNT_THERE):
        await attempt(page, "not the password")
        await expect(page.get_by_role("alert")).to_contain_text("do not go together")
    watch.expect("403", MAX_OF_ACCOUNT_THERE)
    # The right one is not even looked at, and the page says when it will be.
    await attempt(page, PASSWORD)
    await expect(page.get_by_role("alert")).to_have_text(
        "Too many failed attempts. Try again in 15 minutes."
    )
    watch.expect("429")
    await page.goto(f"{shop.service}/admin/files")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    db = await asyncpg.connect(shop.service_database)
    await db.execute("UPDATE sign_in_attempts SET ends_at = ends_at - interval '14 minutes'")
    await attempt(page, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("Try again in 1 minute.")
    watch.expect("429")
    await db.execute("UPDATE sign_in_attempts SET ends_at = ends_at - interval '1 minute'")
    await db.close()
    await attempt(page, PASSWORD)
    await expect(page.get_by_role("heading", name="Files")).to_be_visible()


async def submitted(page: Page) -> Response:
    async with page.expect_navigation() as navigating:
        await page.get_by_role("button", name="Make the key").click()
    response = await navigating.value
    assert response
    return response


async def test_a_form_without_its_token_or_with_another(
    page: Page, shop: Shop, watch: Watch
) -> None:
    await sign_in(page, shop)
    for change, words in (
        ("token => token.remove()", "CSRF token missing"),
        ("token => (token.value += 'x')", "CSRF token invalid"),
        ("token => (token.value = '')", "CSRF token missing"),
    ):
        await page.goto(f"{shop.service}/admin/keys")
        await page.get_by_label("Name", exact=True).fill("planted")
        await page.get_by_label("files:read").check()
        await page.locator("form:has(#name) [name=csrftoken]").evaluate(change)
        response = await submitted(page)
        assert response.status == 403
        await expect(page.locator("body")).to_have_text(words)
        watch.expect("403")
    assert await planted(shop) == 0
    # It was the token.
    await page.goto(f"{shop.service}/admin/keys")
    await page.get_by_label("Name", exact=True).fill("planted")
    await page.get_by_label("files:read").check()
    assert (await submitted(page)).status == 200
    assert await planted(shop) == 1
    db = await asyncpg.connect(shop.service_database)
    await db.execute("DELETE FROM api_keys WHERE name = 'planted'")
    await db.close()


@pytest.mark.parametrize("whose", ["another host", "another port"])
async def test_a_form_of_another_origin(page: Page, shop: Shop, watch: Watch, whose: str) -> None:
    """Even with a good token. Another port is the same site, whose forms bring the cookies."""
    await sign_in(page, shop)
    token = await page.locator("form:has(#name) [name=csrftoken]").input_value()
    if whose == "another port":
        await page.route(
            f"{shop.bucket}/page",
            lambda route: route.fulfill(content_type="text/html", body="<p>Win a prize"),
        )
        await page.goto(f"{shop.bucket}/page")
        await page.unroute_all()
    else:
        await page.goto(f"{shop.url}/admin/")
    async with page.expect_navigation() as navigating:
        await page.evaluate(FORM, [f"{shop.service}/admin/keys/new", token])
    response = await navigating.value
    assert response
    assert response.status == 403
    sent = await response.request.all_headers()
    assert sent["sec-fetch-site"] == ("same-site" if whose == "another port" else "cross-site")
    assert ("claimcheck_admin_" in sent.get("cookie", "")) is (whose == "another port")
    await expect(page.locator("body")).to_have_text("This form was not sent from this panel.")
    watch.expect("403")
    assert await planted(shop) == 0
