"""A process that is set up for little loads little.

Each is a process of its own, in an environment that has everything installed.
"""

import json
import os
import subprocess
import sys
from typing import Final

from tests.commands.steps import DEPLOYED

# Packages of others. Whoever adds one pays for it at each start and in each worker.
DATABASE_AND_STORE: Final = {
    *("aiobotocore", "aiohappyeyeballs", "aiohttp", "aioitertools", "aiosignal", "annotated_types"),
    *("asyncpg", "attr", "botocore", "certifi", "content_types", "dateutil", "deprecated"),
    *("dotenv", "frozenlist", "greenlet", "idna", "jmespath", "limits", "multidict", "packaging"),
    *("prometheus_client", "propcache", "pydantic", "pydantic_core", "pydantic_settings", "six"),
    *("slugify", "sqlalchemy", "structlog", "typing_extensions", "typing_inspection", "urllib3"),
    *("wrapt", "yarl"),
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
    *("app.jwt", "app.runtime.shared_counts"),
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
