"""Requests made up from our own OpenAPI document, right and wrong, against a running service."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from tests.support.service import key_for, prepared, served

# Else most of the run is spent with waiting for events.
CONFIG = """
[[operations]]
include-name = "GET /v1/events"
parameters = { "query.wait" = 0 }
"""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "ignored_auth"),
)


async def fuzzed(client: httpx.AsyncClient, folder: Path, *options: str) -> dict[str, Any]:
    """The run's findings, as its report says them."""
    report = folder / "report.json"
    (folder / "schemathesis.toml").write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(client.base_url.join("/openapi.json")),
        ),
        # The same requests in every run.
        *("--generation-deterministic", "--no-shrink", "--continue-on-failure"),
        # Longer than anything may wait for: GET /v1/events up to 20 s.
        *("--request-timeout", "60"),
        # Longer spellings take a list of ids past the 64 KiB at which the HTTP server itself
        # refuses a URL, in words of its own. tests/http/test_bad_input.py has the rest of Unicode.
        *("--generation-codec", "latin-1"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--checks", ",".join(CHECKS)),
        *("--report-json-path", str(report), "--warnings", "off", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert report.exists(), output.decode()[-3000:]
    found: dict[str, Any] = json.loads(report.read_text())
    assert process.returncode == 0, output.decode()[-8000:]
    return found


@pytest.mark.parametrize(
    ("examples", "requests"), [(40, 4000), pytest.param(170, 5000, marks=pytest.mark.slow)]
)
async def test_no_request_breaks_the_service(
    environ: dict[str, str], tmp_path: Path, examples: int, requests: int
) -> None:
    environ = environ | {
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_RECORDS__PERSON__PICTURE__DESTINATION": "images",
        "CLAIMCHECK_DESTINATIONS__FILES__ALLOW_CLIENT_KEYS": "true",
    }
    key = await key_for(await prepared(environ), *Scope)
    credential = f"Authorization: {key['Authorization']}"
    async with served(environ, tmp_path / "log") as service:
        options = ("--max-examples", str(examples), "--header", credential)
        found = await fuzzed(service.client, tmp_path, *options)
    assert found["operations"]["tested"] == found["operations"]["total"] > 20
    assert found["test_cases"]["generated"] >= requests
    assert found["test_cases"]["with_failures"] == found["test_cases"]["errored"] == 0
