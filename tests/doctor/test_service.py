"""The doctor on the service's own database and credentials."""

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from botocore.credentials import ReadOnlyCredentials

from app.doctor.findings import Finding, Level
from app.doctor.service import check_credentials, check_database
from app.embedded.postgres import create_database
from app.settings.model import load_settings
from app.store.credentials import CredentialChain
from app.store.signer import utc_now
from tests.doctor.steps import FAILS, WARNS, found
from tests.support.buckets import SetUpBucket


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_tables_that_are_missing_or_old(bucket: SetUpBucket, postgres_url: str) -> None:
    bucket.environ["DATABASE_URL"] = create_database(postgres_url, f"d_{secrets.token_hex(6)}")
    empty = found(await bucket.examine(), FAILS)
    assert "no tables yet" in empty["migrations"].meaning
    connection = await asyncpg.connect(bucket.environ["DATABASE_URL"])
    await connection.execute("CREATE TABLE alembic_version (version_num text)")
    await connection.execute("INSERT INTO alembic_version VALUES ('0000')")
    await connection.close()
    old = found(await bucket.examine(), FAILS)
    assert set(old) == {"migrations"}
    assert old["migrations"].meaning.startswith("The tables are those of 0000; ")
    assert old["migrations"].remedy == "Run `claimcheck migrate`."


async def test_connections_are_counted(postgres_url: str) -> None:
    name = f"d_{secrets.token_hex(6)}"
    url = create_database(postgres_url, name)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE alembic_version (version_num text)")

    async def counted(limit: int, processes: str = "", **environ: str) -> Finding | None:
        await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {limit}")
        given = {"DATABASE_URL": url, "WEB_CONCURRENCY": processes}
        findings = await check_database(load_settings(given | environ))
        return next((f for f in findings.entries if f.check == "connections"), None)

    # A web process, a worker, and two by hand: 5 + 5 + 2.
    for limit, processes, level, words in (
        (11, "", Level.WARNING, "no room"),
        (12, "1", Level.OK, "1 web beside"),
        (20, "2", Level.OK, "1 web beside"),
        (-1, "2", Level.OK, "web beside"),
        (20, "3", Level.WARNING, "holds up to 15"),
    ):
        finding = await counted(limit, processes)
        assert finding is not None
        assert finding.level is level
        assert words in finding.meaning
    assert "PgBouncer" in finding.remedy
    assert await counted(11, CLAIMCHECK_DATABASE_TRANSACTION_POOLING="true") is None
    await connection.close()


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_without_keys(
    bucket: SetUpBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither in the settings nor anywhere else where AWS libraries look."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del bucket.environ[name]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    failures = found(await bucket.examine(), FAILS)
    assert set(failures) == {"credentials"}
    assert "AWS_ACCESS_KEY_ID" in failures["credentials"].remedy


class Lent:
    """A session with temporary keys, as a role has them."""

    def __init__(self, life: timedelta) -> None:
        self._expiry_time = utc_now() + life

    async def get_credentials(self) -> "Lent":
        return self

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials("AKIA", "secret", "token")


@pytest.mark.parametrize(("minutes", "level"), [(40, Level.OK), (3, WARNS), (-1, FAILS)])
async def test_the_life_that_is_left_to_temporary_keys(minutes: int, level: Level) -> None:
    # Half a minute more, for the test itself.
    session: Any = Lent(timedelta(minutes=minutes, seconds=30))
    [finding] = (await check_credentials(CredentialChain(lambda: session), utc_now())).entries
    assert (finding.check, finding.level) == ("credentials", level)
    if level is not FAILS:
        assert f"{minutes} minutes are left" in finding.meaning
