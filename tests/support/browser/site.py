"""Pages of another origin that use the package."""

from pathlib import Path

from tests.support.browser.packages import run

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "clients" / "js"
DEFINED = (
    '--define:process.env.NODE_ENV="development"',
    "--define:__VUE_OPTIONS_API__=false",
    "--define:__VUE_PROD_DEVTOOLS__=false",
    "--define:__VUE_PROD_HYDRATION_MISMATCH_DETAILS__=false",
)


class Site:
    """Pages of `origin`, each with one script that esbuild makes of an app."""

    def __init__(self, origin: str, front_end: Path, service: str) -> None:
        self.origin, self.front_end, self.service = origin, front_end, service

    def script(self, app: str, *how: str) -> Path:
        """The bundle of an app, in `www`."""
        out = self.front_end / "www" / f"{Path(app).stem}.js"
        options = ("--bundle", "--format=esm", "--jsx=automatic", "--log-level=warning", *DEFINED)
        esbuild = self.front_end / "node_modules" / ".bin" / "esbuild"
        run(esbuild, app, *options, *how, f"--outfile={out}", at=self.front_end)
        return out

    def page(self, app: str, inside: str = "") -> str:
        """The URL of a page with the app, and with HTML in its `<main>`."""
        script = self.script(app)
        html = (
            f"<!doctype html><title>{app}</title><main>{inside}</main>"
            f"<script>globalThis.endpoint = {self.service!r}</script>"
            f'<script type="module" src="{script.name}"></script>'
        )
        script.with_suffix(".html").write_text(html)
        return f"{self.origin}/{script.with_suffix('.html').name}"
