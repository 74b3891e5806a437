"""Upload a file by uploader.js in headless Chromium; prints the seconds that it took.

`python -m bench.peers.chromium SERVICE[#DESTINATION] FILE PARALLEL PART_SIZE`; the service chooses
the part size.
"""

from __future__ import annotations

import json
import shutil
import sys
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

_UPLOAD = """async ([destination, parallel]) => {
  const { Uploader } = await import("/static/uploader.js");
  const uploader = new Uploader({ destination, parallel });
  const start = performance.now();
  const file = await uploader.upload(document.querySelector("#bench").files[0]);
  return { seconds: (performance.now() - start) / 1000, size: file.size };
}"""


def main() -> None:
    service, path, parallel, _ = sys.argv[1:]
    destination = urlsplit(service).fragment or "large"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(service)
        page.evaluate(
            """() => {
              const input = document.body.appendChild(document.createElement("input"));
              Object.assign(input, { type: "file", id: "bench" });
            }"""
        )
        page.set_input_files("#bench", path)
        found = page.evaluate(_UPLOAD, [destination, int(parallel)])
        browser.close()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
