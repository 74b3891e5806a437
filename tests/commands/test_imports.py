"""A process that is set up for little loads little.

Each is a process of its own, in an environment that has everything installed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.commands.steps import DEPLOYED

# Packages of others. Whoever adds one pays for it at each start and in each worker.
DATABASE_AND_STORE: Final = {
    *("annotated_types", "asyncpg", "botocore", "content_types", "deprecated", "dotenv"),
    *("greenlet", "limits", "packaging", "prometheus_client", "pydantic"),
    *("pydantic_core", "pydantic_settings", "slugify", "sqlalchemy", "structlog"),
    *("typing_extensions", "typing_inspection", "wrapt"),
}
HTTP: Final = {
    *("annotated_doc", "anyio", "click", "fastapi", "h11", "httptools", "opentelemetry"),
    *("python_multipart", "starlette", "uvicorn", "uvloop"),
}
# Of settings that most have not, of the first file or name that needs them, of other commands, or
# what dependencies load only because it is installed.
NOT_LOADED: Final = {
    *("redis", "joserfc", "cryptography", "alembic", "mako", "httpx", "pygments", "pydantic.v1"),
    *("boto3", "s3transfer", "pure_magic_rs", "text_unidecode", "sqlalchemy.orm", "jinja2"),
    *("starlette_admin", "argon2", "moto", "flask", "app.doctor.examine", "app.embedded"),
    *("app.db.reserve", "app.usage.levels", "app.usage.compare"),
    *("aioboto3", "aiobotocore", "aiohttp", "app.jwt", "app.runtime.shared_counts"),
    *("app.store.session", "app.store.web", "botocore.session", "urllib3", "yarl"),
}
SERVE: Final = """
import asyncio
import uvicorn
from app.main import create_app
from app.settings.model import load_settings

config = uvicorn.Config(create_app(load_settings()))
config.load()
config.get_loop_factory()
answers = []

async def send(message):
    answers.append(message)

async def first_answer():
    scope = {"type": "http", "method": "GET", "path": "/livez", "raw_path": b"/livez"}
    scope |= {"query_string": b"", "headers": [], "client": None}
    async with config.app.router.lifespan_context(config.app):
        await config.loaded_app(scope, None, send)

asyncio.run(first_answer())
assert answers[0]["status"] == 200
"""
SIGN: Final = """
import asyncio
from app.runtime.resources import open_resources
from app.settings.model import load_settings

async def sign():
    async with open_resources(load_settings()) as res:
        destination, *_ = res.settings.destinations.values()
        signed = await res.signer.presign("GET", destination.address, "a.png", expires_in=60)
        assert "AKIAEXAMPLE" in signed.url

asyncio.run(sign())
"""
KEYS: Final = """
from app.cli import main
try:
    main(["keys", "list"])
except SystemExit as error:
    assert "database did not answer" in error.code
"""


def loaded(program: str, **settings: str) -> set[str]:
    """The modules that this program has loaded in the end."""
    ending = "\nimport json, sys\nprint(json.dumps([*filter(sys.modules.get, sys.modules)]))"
    done = subprocess.run(
        [sys.executable, "-c", program + ending],
        env={"PYTHONPATH": os.pathsep.join(sys.path)} | DEPLOYED | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def installed(modules: set[str]) -> set[str]:
    """The packages of others among these; `_` is how builds of Cython share what is theirs."""
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    return {name for name in tops if not name.startswith("_")} - {"app", "cython_runtime"}


def test_the_service_loads_what_its_first_answer_needs() -> None:
    modules = loaded(SERVE)
    assert installed(modules) - DATABASE_AND_STORE - HTTP == set()
    assert modules & (NOT_LOADED | {"rich"}) == set()


def test_a_command_loads_no_web_server() -> None:
    modules = loaded(KEYS)
    assert installed(modules) - DATABASE_AND_STORE - {"rich"} == set()
    assert modules & NOT_LOADED == set()


def test_keys_of_the_settings_sign_without_a_library_of_s3() -> None:
    modules = loaded(SIGN, AWS_ACCESS_KEY_ID="AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY="secret")
    assert modules & NOT_LOADED == set()


def test_keys_that_stand_elsewhere_are_found_by_it(tmp_path: Path) -> None:
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id=AKIAEXAMPLE\naws_secret_access_key=secret\n")
    modules = loaded(SIGN, AWS_SHARED_CREDENTIALS_FILE=str(profile))
    assert modules >= {"aioboto3", "aiobotocore.credentials"}
    assert modules & {"httpx", "pure_magic_rs"} == set()


def test_what_settings_ask_for_is_loaded_at_the_start() -> None:
    modules = loaded(
        SERVE,
        CLAIMCHECK_AUTH="keys,jwt",
        CLAIMCHECK_JWT__ISSUER="https://issuer.example",
        CLAIMCHECK_JWT__AUDIENCE="files",
        CLAIMCHECK_JWT__SECRET="s" * 40,
        CLAIMCHECK_RATE_LIMIT="10/hour",
        CLAIMCHECK_RATE_LIMIT_STORAGE_URL="redis://127.0.0.1:1",
    )
    assert modules >= {"joserfc", "redis"}
