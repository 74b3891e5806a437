"""Clients that generators make from /openapi.json compile, and announce, send, confirm and list."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.browser.packages import install, needs_npm
from tests.support.service import Service, key_for, prepared, served

HERE = Path(__file__).parent
PYTHON_GENERATOR = "openapi-python-client==0.29.1"


@pytest.fixture
async def service(environ: dict[str, str], tmp_path: Path) -> AsyncIterator[Service]:
    environ = environ | {"CLAIMCHECK_AUTH": "keys"}
    settings = await prepared(environ)
    async with served(environ, tmp_path / "log") as service:
        key = await key_for(settings, "uploads:write", "files:read")
        service.client.headers.update(key)
        yield service


@pytest.fixture
async def project(service: Service, tmp_path: Path) -> Path:
    """A folder with the programs, and the document as the service serves it."""
    folder = tmp_path / "project"
    shutil.copytree(HERE / "programs", folder)
    document = (await service.client.get("/openapi.json")).json()
    (folder / "openapi.json").write_text(json.dumps(document))
    return folder


class Shell:
    """Runs commands in a project, those of its packages before all others."""

    def __init__(self, project: Path, service: Service, programs: Path) -> None:
        authorization = service.client.headers["Authorization"]
        self.project = project
        self.environ = {
            "HOME": str(project),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "API": str(service.client.base_url).rstrip("/"),
            "TOKEN": authorization.removeprefix("Bearer "),
            "REDOCLY_TELEMETRY": "off",
        }

    def run(self, *command: str | Path) -> str:
        """The output of a command, which must succeed."""
        done = subprocess.run(
            command, cwd=self.project, env=self.environ, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def compiled(self, program: str) -> list[str]:
        """The lines that a program in TypeScript prints, which must have no fault."""
        self.run("tsc", "--project", ".")
        return self.run("node", f"out/{program}.js").splitlines()


def with_npm(project: Path, service: Service, packages: str, *programs: str) -> Shell:
    """The packages of a lock file, and of the programs those that use them."""
    install(project, HERE / "npm" / packages)
    for path in project.glob("*.ts"):
        if path.stem not in ("send", *programs):
            path.unlink()
    return Shell(project, service, project / "node_modules" / ".bin")


def stored(lines: list[str], filename: str) -> None:
    file, *names = lines
    _, state, size = file.split()
    assert (state, size, names) == ("confirmed", "6", [filename])


@needs_npm
def test_openapi_fetch(project: Path, service: Service) -> None:
    shell = with_npm(project, service, "fetch", "fetch")
    shell.run("openapi-typescript", "openapi.json", "--output", "api.ts")
    stored(shell.compiled("fetch"), "fetch.txt")


@needs_npm
@pytest.mark.slow
def test_hey_api_and_orval_and_linters(project: Path, service: Service) -> None:
    shell = with_npm(project, service, "others", "hey", "orval")
    shell.run("openapi-ts", "--input", "openapi.json", "--output", "hey")
    shell.run("orval", "--config", "orval.config.mjs")
    stored(shell.compiled("hey"), "hey.txt")
    orval = shell.run("node", "out/orval.js").splitlines()
    assert orval[1:] == ["orval.txt", "hey.txt"]
    shell.run("redocly", "lint", "openapi.json")
    (project / ".spectral.yaml").write_text("extends: spectral:oas")
    shell.run("spectral", "lint", "openapi.json")


@pytest.mark.slow
def test_openapi_python_client(project: Path, service: Service) -> None:
    venv.create(project / "venv", with_pip=True)
    shutil.copy(HERE / "program.py", project)
    shell = Shell(project, service, project / "venv" / "bin")
    shell.run("pip", "install", "--quiet", PYTHON_GENERATOR)
    made = shell.run("openapi-python-client", "generate", "--path", "openapi.json")
    assert "warning" not in made.lower(), made
    shell.run("pip", "install", "--quiet", "./claimcheck-client")
    package = project / "claimcheck-client" / "claimcheck_client"
    shell.run(sys.executable, "-m", "mypy", "--strict", package, "program.py")
    stored(shell.run("python", "program.py").splitlines(), "python.txt")
