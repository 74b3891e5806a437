import os
import secrets
import socket
import tomllib
from importlib import metadata

import asyncpg
import pytest
from sqlalchemy import make_url

from app import cli
from app.embedded.postgres import create_database
from tests.commands.steps import DEPLOYED
from tests.support.command import ROOT, claimcheck
from tests.support.service import in_thread


def test_help_lists_the_commands() -> None:
    done = claimcheck("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: claimcheck ")
    for command in ("dev", "serve", "migrate"):
        assert f"\n    {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [([], ("dev", "serve", "migrate")), (["keys"], ("create", "list", "revoke"))],
)
def test_without_a_command_they_are_listed(
    arguments: list[str], listed: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    said = capsys.readouterr()
    assert (caught.value.code, said.out) == (2, "")
    for command in listed:
        assert f"\n    {command} " in said.err


def test_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"claimcheck {project['version']}\n"


def test_version_of_a_source_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 1
    assert "is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["serve", "--port", "1"]])
def test_what_is_no_command_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: claimcheck" in capsys.readouterr().err


def test_serve_without_settings_says_what_is_missing() -> None:
    done = claimcheck("serve")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("claimcheck cannot start:\n  DATABASE_URL is not set: ")
    assert done.stderr.count("\n") == 4  # the database, the buckets, authentication


@pytest.mark.parametrize(
    ("command", "missing", "environ"),
    [
        ("serve", "AWS_STORAGE_BUCKET_NAME", {}),
        ("serve", "CLAIMCHECK_AUTH is not set", {}),
        ("serve", "CLAIMCHECK_AUTH is none", {"CLAIMCHECK_AUTH": "none"}),
        ("check", "CLAIMCHECK_AUTH is none", {"CLAIMCHECK_AUTH": "none"}),
        ("serve", "CLAIMCHECK_JWT__ISSUER", {"CLAIMCHECK_AUTH": "jwt"}),
        ("keys list", "DATABASE_URL is not set", {}),
        ("serve", "CLAIMCHECK_AUHT is not a setting", {"CLAIMCHECK_AUHT": "none"}),
        ("serve", "PORT: ", {"PORT": "eighty"}),
        ("migrate", "DATABASE_URL is not set", {}),
        ("migrate", "DATABASE_URL: must start with", {"DATABASE_URL": "mysql://u:hunter2@h/d"}),
        ("dev", "CLAIMCHECK_AUHT is not a setting", {"CLAIMCHECK_AUHT": "none"}),
    ],
)
def test_a_wrong_setting_stops_every_command(
    monkeypatch: pytest.MonkeyPatch, command: str, missing: str, environ: dict[str, str]
) -> None:
    for name in [*os.environ]:
        if name.startswith(("AWS_", "CLAIMCHECK_", "DATABASE_URL", "PORT")):
            monkeypatch.delenv(name)
    for name, value in (DEPLOYED | environ).items():
        if not missing.startswith(name) or name in environ:
            monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        cli.main(command.split())
    message = str(caught.value.code)
    assert message.startswith("claimcheck cannot start: ")
    assert missing in message
    assert "hunter2" not in message


async def test_migrate(postgres_url: str) -> None:
    url = create_database(postgres_url, f"cli_{secrets.token_hex(6)}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        for _ in range(2):
            in_thread(cli.main, ["migrate"])
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM files") == 0
    await connection.close()


def test_a_database_that_refuses_is_not_called_silent_alone(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nowhere")
    environ = DEPLOYED | {"DATABASE_URL": url.render_as_string(hide_password=False)}
    for command, begins in (
        (("keys", "list"), "claimcheck cannot go on: The database did not answer;"),
        (("sweep",), "claimcheck cannot go on: The database did not answer;"),
        (("migrate",), "The server has no database of this name. Make it,"),
    ):
        done = claimcheck(*command, **environ)
        assert done.returncode == 1
        assert done.stderr.startswith(begins)
        assert done.stderr.endswith('database "nowhere" does not exist\n')
        assert done.stderr.count("\n") == 1


async def test_tables_that_are_not_there_yet_need_no_cause(postgres_url: str) -> None:
    url = create_database(postgres_url, f"cli_{secrets.token_hex(6)}")
    done = claimcheck("keys", "list", **DEPLOYED | {"DATABASE_URL": url})
    assert done.returncode == 1
    assert done.stderr.endswith("no tables yet: run `claimcheck migrate`.\n")


def test_check_says_in_one_line_what_is_wrong() -> None:
    done = claimcheck("check", **DEPLOYED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = claimcheck("check", **DEPLOYED | {"CLAIMCHECK_AUHT": "none"})
    assert done.returncode == 1
    assert done.stderr == (
        "claimcheck cannot start: CLAIMCHECK_AUHT is not a setting. Did you mean CLAIMCHECK_AUTH?\n"
    )


def test_limits_are_not_set_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DEPLOYED.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        cli.main(["quotas", "set", "--owner", "ann"])
    assert str(caught.value.code).startswith("Name a limit: --bytes, --files or --pending;")


def test_dev_says_at_once_that_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = claimcheck("dev", PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"claimcheck cannot start: PORT: {port} cannot be used")
    assert done.stdout == ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_says_in_words_that_the_port_is_taken(workers: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        done = claimcheck("serve", **DEPLOYED | {"PORT": str(port), "WEB_CONCURRENCY": workers})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"claimcheck cannot start: PORT: {port} cannot be used")


# The second is of no machine (RFC 5737), the third no name (RFC 6761).
@pytest.mark.parametrize("host", ["not a host", "192.0.2.1", "nowhere.invalid"])
def test_serve_says_in_words_that_the_host_is_not_here(host: str) -> None:
    done = claimcheck("serve", **DEPLOYED | {"CLAIMCHECK_HOST": host})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"claimcheck cannot start: CLAIMCHECK_HOST: '{host}' is no")
