"""The README of examples/django_shop, run as it stands but for addresses."""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.django.shop.place import Shop, bytes_at
from tests.support.service import as_set
from tests.support.stores import free_port

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "examples" / "django_shop"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
# Examples are not to find what is installed for this project.
PATH = os.pathsep.join(
    folder
    for folder in os.environ["PATH"].split(os.pathsep)
    if Path(folder) != Path(sys.executable).parent
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


SCRIPT = next(block for block in blocks("python") if "session = httpx.post" in block)


def test_it_shows_what_the_folder_has() -> None:
    files = [path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py")]
    [run_below] = [block for block in blocks("python") if not any(block in file for file in files)]
    assert run_below == SCRIPT
    for heading in ("## Content-Security-Policy", "## For production"):
        assert heading in README


def test_what_is_installed_is_pinned() -> None:
    text = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8")
    assert text.count("--hash") >= len(re.findall("^[a-z]", text, re.MULTILINE)) > 0
    assert "://" not in text


async def test_its_script_uploads(
    shop: Shop, picture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamp.jpg").write_bytes(picture)
    script = SCRIPT.replace("http://localhost:5173", shop.url).replace("admin", "ann")
    await asyncio.to_thread(exec, script.replace("...", "-"), {})
    assert await bytes_at(capsys.readouterr().out.strip()) == picture


@pytest.mark.slow
async def test_its_commands_install_and_serve_the_shop(shop: Shop, tmp_path: Path) -> None:
    start, commands = blocks("bash")
    assert "CLAIMCHECK_CORS_ORIGINS=http://localhost:5173 make run" in start
    unwanted = shutil.ignore_patterns(".venv", "shop.db", "__pycache__", "build", "*.egg-info")
    for name in ("examples/django_shop", "clients/python", "clients/django"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    settings = tmp_path / "examples" / "django_shop" / "settings.py"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("http://127.0.0.1:8000", shop.service), encoding="utf-8")
    port = free_port()
    commands = commands.replace("5173", str(port)).replace(
        "createsuperuser", "createsuperuser --noinput --username root --email root@example.com"
    )
    *before, serve = commands.rstrip().splitlines()
    script = "\n".join([*before, f"exec {serve} --noreload"])
    key = shop.api.headers["Authorization"].removeprefix("Bearer ")
    environ = as_set({"PATH": PATH, "CLAIMCHECK_KEY": key, "DJANGO_SUPERUSER_PASSWORD": "-"})
    environ.pop("DJANGO_SETTINGS_MODULE", None)  # of tests in this process
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", script),
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=output,
        )
    url = f"http://localhost:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as web:
            for _ in range(6000):
                try:
                    assert "There are none yet." in (await web.get("/")).text
                    break
                except httpx.TransportError:
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.05)
            assert (await web.get("/api/products/")).json()["results"] == []
            await web.get("/admin/login/")
            form = {"username": "root", "password": "-", "next": "/admin/shop/product/add/"}
            form |= {"csrfmiddlewaretoken": web.cookies["csrftoken"]}
            page = await web.post("/admin/login/", data=form, follow_redirects=True)
            assert page.text.count("<claimcheck-upload") == 2
            assert f"{shop.service}/static/upload-field.js" in page.text
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
