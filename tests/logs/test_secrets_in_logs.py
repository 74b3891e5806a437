"""The search for secrets in logs finds them, and then fails the run."""

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.core.opaque_tokens import (
    KEY_PREFIX,
    RANDOM_BYTES,
    SESSION_PREFIX,
    STAFF_PREFIX,
    make_token,
)
from app.logs.redaction import redact
from tests.support import secrets_in_logs
from tests.support.secrets_in_logs import secrets_in
from tests.support.service import SECRET_KEY, SESSION_SECRET, UNKNOWN_ID
from tests.support.steps import announced, stored

ROOT = Path(__file__).parents[2]


async def test_it_finds_what_the_service_hands_out(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    form = (await announced(client, b"hello"))["upload"]["fields"]
    file = await stored(client, web)
    signature = form["x-amz-signature"]
    for secret in (
        file["presigned_url"],
        file["content_url"],
        f"read {file['content_url'].partition('grant=')[2]}, says he",
        str(form),
        str(form).replace("'", '"'),
        form["policy"],
        f"x-amz-signature: {signature}",
        f"Credential=A, SignedHeaders=host, Signature={signature}",
    ):
        assert list(secrets_in(secret)), secret


@pytest.mark.parametrize("prefix", [KEY_PREFIX, SESSION_PREFIX])
def test_it_finds_tokens_and_keys(prefix: str) -> None:
    token = make_token(prefix, secrets.token_bytes(RANDOM_BYTES))
    jwt = ".".join(base64.urlsafe_b64encode(b'{"alg":"RS256"}' * 4).decode() for _ in range(3))
    for secret in (token, f"Bearer {token}", f"/uppy/{token}/s3", jwt, f"Authorization: {jwt}"):
        assert list(secrets_in(f"something {secret}")), secret
    for secret in (SECRET_KEY, SECRET_KEY.replace("/", "%2F").replace("+", "%2B"), SESSION_SECRET):
        assert list(secrets_in(f"?key={secret}&x")), secret
    assert list(secrets_in(f"X-Amz-Security-Token={secrets.token_urlsafe(40)}"))
    for harmless in (
        redact(f"X-Amz-Signature={'ab' * 32}&X-Amz-Security-Token={token}"),
        redact(f"Bearer {token} /uppy/{token}/s3"),
        f"GET /v1/files/{UNKNOWN_ID}/content 302, 1795379400.5 s, key:{UNKNOWN_ID}",
        "claimcheck_upload_.../else",
        "Bearer realm=claimcheck",
    ):
        assert not list(secrets_in(harmless)), harmless


def test_what_it_looks_for_is_cut_out_of_lines() -> None:
    """Of each kind, in every dress: a URL, a header, a form, JSON within JSON, capitals."""
    signature, token = "ab" * 32, secrets.token_urlsafe(40)
    encoded = base64.b64encode(b'{"expiration":"2026-11-24T08:00:00Z","conditions":[]}').decode()
    jwt = ".".join(base64.urlsafe_b64encode(b'{"alg":"RS256"}' * 4).decode() for _ in range(3))
    grant = f"1795379400.{secrets.token_hex(16)}"
    form = {"policy": encoded, "x-amz-signature": signature, "x-amz-security-token": token}
    leaks = {
        "a signature": [
            f"GET /b/k?X-AMZ-SIGNATURE={signature}&x=1",
            f"to=%2Fk%3FX-Amz-Signature%3D{signature}",
            f"x-amz-signature: {signature}",
            f"Credential=A, SignedHeaders=host, Signature={signature}",
        ],
        "a security token": [
            f"X-Amz-Security-Token={token}",
            f"X-Amz-Security-Token: {token}",
            f"x-amz-security-token%3D{token}",
        ],
        "a policy or a web token": [encoded, jwt, f"Authorization: {jwt}", f"?id_token={jwt}"],
        "a bearer": [f"Authorization: Bearer {token}", f"BEARER {token}"],
        "a token of ours": [
            make_token(prefix, secrets.token_bytes(RANDOM_BYTES))
            for prefix in (KEY_PREFIX, SESSION_PREFIX, STAFF_PREFIX)
        ],
        "a webhook's secret": [f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"],
        "a grant": [f"/v1/files/1/content?grant={grant}", f"read {grant}, says he"],
        "several": [str(form), json.dumps(form), json.dumps({"event": json.dumps(form)})],
    }
    assert [*leaks][:-1] == [*secrets_in_logs._PATTERNS]
    for what, texts in leaks.items():
        for text in texts:
            found = [secret.partition(":")[0] for secret in secrets_in(text)]
            assert what in found or (what == "several" and len(found) >= 2), text
            assert not list(secrets_in(redact(text))), redact(text)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that is not searched in the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


_CONFTEST = """
from tests.support.secrets_in_logs import Watch


def pytest_configure(config):
    config.pluginmanager.register(Watch())
"""
_LEAKS = {
    "record": "logging.getLogger('some.library').warning('PUT %s', SECRET)",
    "exception": "try:\n        raise ValueError(SECRET)\n    except ValueError:\n"
    "        logging.getLogger('asyncio').exception('Task failed')",
    "file": "(tmp_path / 'log').write_text(SECRET)",
    "pipe": "subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write(sys.argv[1])',"
    " SECRET], stderr=subprocess.PIPE)",
}
_NO_LEAK = {"nothing": "logging.getLogger('some.library').warning('nothing to hide')"}


@pytest.mark.parametrize(
    ("tests", "options", "status"),
    [(_LEAKS, (), 1), (_LEAKS, ("-n", "1"), 1), (_NO_LEAK, (), 0)],
)
def test_it_fails_the_run(
    folder: Path, tests: dict[str, str], options: tuple[str, ...], status: int
) -> None:
    (folder / "conftest.py").write_text(_CONFTEST)
    lines = ["import logging, subprocess, sys", "SECRET = 'X-Amz-Signature=' + 'ab' * 32", ""]
    for name, body in tests.items():
        lines += [f"def test_{name}(tmp_path):", f"    {body}", ""]
    (folder / "test_it.py").write_text("\n".join(lines))
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder))
    done = subprocess.run(
        [*command, "--basetemp", str(folder / "temp"), *options],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"{len(tests)} passed" in done.stdout
    assert done.returncode == status, done.stdout
    found = [line for line in done.stdout.splitlines() if "a signature: Signature=ababab" in line]
    assert len(found) == (len(tests) if status else 0), done.stdout
    assert "ab" * 32 not in done.stdout
