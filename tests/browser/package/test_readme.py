"""The examples of the package's README, as they stand there but for the address of the service."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, expect

from tests.support.browser.packages import needs_npm, run
from tests.support.browser.site import SOURCE, Site

pytestmark = [needs_npm, pytest.mark.slow]

README = (SOURCE / "README.md").read_text(encoding="utf-8")
SERVICE = "https://files.example.com"
# What an example stands in.
AROUND = {
    "jsx": """
      import { createRoot } from "react-dom/client";
      import { Attachments } from "./example.jsx";
      createRoot(document.querySelector("main")).render(<Attachments />);
    """,
    "vue": """
      import { createApp } from "vue";
      import Example from "./example.mjs";
      createApp(Example).mount("main");
    """,
    "js": """
      const output = document.body.appendChild(document.createElement("output"));
      const input = document.body.appendChild(document.createElement("input"));
      Object.assign(input, { type: "file", multiple: true });
      Object.assign(globalThis, { input, output });
      import("./example.js");
    """,
}
COMPILE = """
  import { readFileSync, writeFileSync } from "node:fs";
  import { compileScript, parse } from "vue/compiler-sfc";
  const { descriptor } = parse(readFileSync("example.vue", "utf8"));
  const { content } = compileScript(descriptor, { id: "example", inlineTemplate: true });
  writeFileSync("example.mjs", content);
"""


def example(language: str) -> str:
    [code] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(code)


@pytest.mark.parametrize("language", ["jsx", "vue", "js"])
async def test_an_example_uploads(
    language: str,
    context: BrowserContext,
    site: Site,
    front_end: Path,
    api: httpx.AsyncClient,
) -> None:
    code = example(language)
    assert SERVICE in code
    (front_end / f"example.{language}").write_text(code.replace(SERVICE, site.service))
    if language == "vue":
        (front_end / "compile.mjs").write_text(COMPILE)
        run("node", "compile.mjs", at=front_end)
    (front_end / f"readme-{language}.jsx").write_text(AROUND[language])
    page = await context.new_page()
    await page.goto(site.page(f"readme-{language}.jsx"))
    name = f"readme {language}.txt"
    await page.set_input_files("input", [{"name": name, "mimeType": "text/plain", "buffer": b"x"}])
    await expect(page.locator("body")).to_contain_text(f"{name}: stored")
    [file] = (await api.get("/v1/files", params={"limit": 1})).json()["items"]
    assert file["filename"] == name


def test_the_example_for_react_has_the_types_that_it_needs(built: Path) -> None:
    """Props of the hook fit the elements that they are given to, and a mistake is found."""
    field = '<claimcheck-upload name="photo" session="/session" max-size={5} id="photo" />'
    code = example("jsx").replace("<ul>", f"{field}<ul>")
    (built / "js" / "field.ts").write_text(example("ts"))
    wrong = code.replace("upload.secondsLeft !== null", "upload.minutesLeft !== null")
    wrong = wrong.replace('session="/session"', 'sessions="/session"')
    tsc = built / "js" / "node_modules" / ".bin" / "tsc"
    options = "--ignoreConfig --noEmit --strict --jsx react-jsx --module esnext --pretty false"
    for name, text in (("right", code), ("wrong", wrong)):
        (built / "js" / f"{name}.tsx").write_text(text)
    said = run(
        "sh",
        "-c",
        f"{tsc} {options} --moduleResolution bundler field.ts right.tsx wrong.tsx || true",
        at=built / "js",
    )
    assert set(re.findall(r"^(\w+\.tsx)\(", said, re.MULTILINE)) == {"wrong.tsx"}
    assert "minutesLeft" in said
    assert "sessions" in said
