"""The examples of docs/auth.md, run as they stand but for addresses."""

import asyncio
import os
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.core.principal import SCOPE_DESCRIPTIONS, Scope
from app.settings.model import load_settings
from tests.support.issuer import Issuer, running_issuer
from tests.support.service import Service, key_for, prepared, served

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "auth.md").read_text(encoding="utf-8")


def block(text: str, language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    [found] = [one for one in blocks if containing in one]
    return found


def told(script: str, issuer: Issuer) -> dict[str, str]:
    """The environment that a block of `export` lines makes, with the test's issuer in it."""
    given = dict(re.findall(r"^export (\w+)=(\S+)", script, re.MULTILINE))
    return given | {
        "CLAIMCHECK_JWT__ISSUER": issuer.url,
        "CLAIMCHECK_JWT__JWKS_URL": issuer.jwks_url,
    }


@dataclass
class Shell:
    """Runs scripts as a reader does who has installed the service."""

    environ: dict[str, str]
    directory: Path

    async def run(self, script: str, **more: str) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            env={"PATH": path, "COLUMNS": "200", **self.environ, **more},
            cwd=self.directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def service(
    environ: dict[str, str], issuer: Issuer, tmp_path: Path
) -> AsyncIterator[Service]:
    environ |= told(block(GUIDE, "bash", "JWT__JWKS_URL"), issuer) | {"CLAIMCHECK_AUTH": "jwt,keys"}
    await prepared(environ)
    async with served(environ, tmp_path / "log") as service:
        yield service


@pytest.fixture
def shell(environ: dict[str, str], service: Service, tmp_path: Path) -> Shell:
    return Shell({"DATABASE_URL": environ["DATABASE_URL"]}, tmp_path)


def at(service: Service, script: str) -> str:
    assert "http://127.0.0.1:8000" in script or "$API" in script
    return script.replace("http://127.0.0.1:8000", str(service.client.base_url).rstrip("/"))


async def test_each_credential(shell: Shell, service: Service, issuer: Issuer) -> None:
    by_key = at(service, block(GUIDE, "bash", "keys create shop"))
    assert await shell.run(by_key) == '{"items":[],"next_cursor":null}\n'
    by_session = block(GUIDE, "bash", "/v1/upload-sessions")
    said = await shell.run(by_key + by_session)
    assert '"key":"images/' in said
    by_token = at(service, block(GUIDE, "bash", "Bearer $JWT"))
    api = f"API={service.client.base_url}\n".replace("/\n", "\n")
    said = await shell.run(api + by_token, JWT=issuer.token())
    assert said == '{"items":[],"next_cursor":null}\n'


async def test_the_commands_of_the_guide(shell: Shell, service: Service) -> None:
    script = block(GUIDE, "bash", "claimcheck keys revoke")
    create, show, revoke = script.splitlines()
    token = (await shell.run(create)).strip()
    assert token.startswith("claimcheck_key_")
    listed = await shell.run(show)
    [key_id] = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", listed)
    await shell.run(re.sub(r"\S+$", key_id, revoke))
    assert "revoked" in await shell.run(show)


async def test_the_back_end_of_the_guide(service: Service, environ: dict[str, str]) -> None:
    key = await key_for(load_settings(environ), "sessions:mint", owner="shop")
    names: dict[str, Any] = {
        "CLAIMCHECK_URL": str(service.client.base_url),
        "KEY": key["Authorization"].removeprefix("Bearer "),
    }
    exec(block(GUIDE, "python", "def upload_token"), names)
    token = await asyncio.to_thread(names["upload_token"], "ann")
    names["claimcheck"].close()
    body = {"destination": "images", "filename": "a.png", "size": 5}
    announced = await service.client.post(
        "/v1/uploads", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert announced.status_code == 201


def test_the_destinations_of_the_guide(tmp_path: Path) -> None:
    text = block(GUIDE, "toml", "destinations.avatars")
    assert set(tomllib.loads(text)["destinations"]) == {"avatars", "news"}
    path = tmp_path / "claimcheck.toml"
    path.write_text(text, encoding="utf-8")
    settings = load_settings({"CLAIMCHECK_CONFIG": str(path)})
    assert settings.destinations["avatars"].scopes == ("avatars:write",)
    assert settings.destinations["news"].claims == {"role": ("editor", "chief")}


def test_the_settings_of_the_guide() -> None:
    script = block(GUIDE, "bash", "JWT__JWKS_URL")
    given = dict(re.findall(r"^export (\w+)=(\S+)", script, re.MULTILINE))
    settings = load_settings(given)
    assert settings.auth == ("jwt",)
    assert settings.jwt is not None
    assert settings.jwt.accepted == ("RS256",)


def test_the_guide_names_every_scope() -> None:
    assert set(SCOPE_DESCRIPTIONS) == set(Scope)
    table = re.findall(r"^\| `([a-z]+:?[a-z]*)` \| (.+) \|$", GUIDE, re.MULTILINE)
    assert table == list(SCOPE_DESCRIPTIONS.items())
