"""The service itself: its settings, its credentials, its database."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from pydantic import AliasChoices

from app.db import files as db_files
from app.db.connections import Database, lacks_tables
from app.doctor.findings import Findings
from app.errors import ConfigurationError, DatabaseUnavailable
from app.models.tables import REVISION
from app.settings.model import Settings, require_deployed
from app.store.credentials import CredentialChain, CredentialsUnavailable

SUBJECT: Final = "service"
_SOON: Final = timedelta(minutes=5)
_RESERVED_CONNECTIONS: Final = 2  # for migrations and commands
_RENEWED: Final = (
    "A role, or a profile with `credential_process`, has keys that are renewed while it runs."
)
_MIGRATE: Final = "Run `claimcheck migrate`."
# Read by AWS libraries, beside what botocore lists.
_AWS_LIBRARIES: Final = (
    *("AWS_CONTAINER_", "AWS_EC2_", "AWS_ENDPOINT_URL", "AWS_LAMBDA_", "AWS_METADATA_"),
    *("AWS_PROFILE", "AWS_ROLE_", "AWS_SDK_", "AWS_STS_", "AWS_WEB_IDENTITY_", "AWS_EXECUTION_"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_EXPIRATION", "AWS_CREDENTIAL_EXPIRATION"),
)


def check_settings(settings: Settings, environ: Mapping[str, str] = os.environ) -> Findings:
    """Whether a deployment would start, and which AWS_* and S3_* variables nothing reads."""
    findings = Findings(SUBJECT)
    try:
        require_deployed(settings, on_this_machine=True)
    except ConfigurationError as error:
        findings.fail("settings", "The service would not start.", str(error))
    else:
        findings.ok("settings", "The settings are complete.")
    strays = sorted(name for name in environ if _is_stray(name.upper()))
    if strays:
        findings.warn(
            "stray-settings",
            f"Neither this service nor an AWS library reads {', '.join(strays)}.",
            "Take it out, or write the name as docs/settings.md has it.",
        )
    for first, *others in _conflicting_names(environ):
        findings.warn(
            "doubled-settings",
            f"{first} hides another value in {', '.join(others)}.",
            "Keep the one that is meant.",
        )
    return findings


def _is_stray(name: str) -> bool:
    if not name.startswith(("AWS_", "S3_")) or name.startswith(_AWS_LIBRARIES):
        return False
    known = {choice for names in _aliases() for choice in names}
    for definition in BOTOCORE_DEFAUT_SESSION_VARIABLES.values():
        variables = definition[1] or ()
        known |= {variables} if isinstance(variables, str) else set(variables)
    return name not in known


def _aliases() -> list[list[str]]:
    """The variable names of each setting that is not named after its field."""
    found = []
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            found.append([str(choice) for choice in alias.choices])
        elif alias is not None:
            found.append([str(alias)])
    return found


def _conflicting_names(environ: Mapping[str, str]) -> list[list[str]]:
    """The names of each setting that has different values under them, the one in effect first."""
    found = []
    for names in _aliases():
        given = [name for name in names if environ.get(name)]
        if len({environ[name] for name in given}) > 1:
            found.append(given)
    return found


async def check_credentials(chain: CredentialChain, now: datetime) -> Findings:
    """Whether there are credentials, and how long they are still valid."""
    findings = Findings(SUBJECT)
    try:
        credentials = await chain.current()
    except CredentialsUnavailable as error:
        findings.fail("credentials", "There is nothing to sign with.", str(error))
        return findings
    if chain.has_unknown_end:
        findings.warn(
            "credentials",
            "The keys are temporary, for there is a session token, and nothing says when they end. "
            "What is signed may end before the time that answers tell.",
            f"Set CLAIMCHECK_CREDENTIALS_EXPIRE_AT to the end of AWS_SESSION_TOKEN. {_RENEWED}",
        )
        return findings
    if credentials.expires_at is None:
        findings.ok("credentials", "There are keys, and they do not expire.")
        return findings
    left = credentials.expires_at - now
    meaning = f"The keys are temporary: {int(left.total_seconds() // 60)} minutes are left."
    if not chain.is_renewed:
        findings.warn("credentials", f"{meaning} Nothing renews them.", _RENEWED)
        return findings
    findings.ok_or_warn(
        left >= _SOON,
        "credentials",
        f"{meaning} They are renewed, and nothing signed outlives them.",
        f"{meaning} Nothing that is signed lives longer.",
        "Find out why the profile, container or role does not renew them.",
    )
    return findings


async def check_database(settings: Settings) -> Findings:
    """Whether the database answers, has the tables of this version, and connections enough."""
    findings = Findings(SUBJECT)
    if settings.database_url is None:
        return findings  # check_settings has reported it
    db = Database(settings)
    try:
        async with db.connection() as connection:
            limit = await db_files.connection_limit(connection)
            found = await db_files.schema_revision(connection)
    except DatabaseUnavailable as problem:
        if lacks_tables(problem):
            findings.fail("migrations", "The database has no tables yet.", _MIGRATE)
            return findings
        findings.fail(
            "database",
            f"The database cannot be used: {problem.__cause__ or problem.detail}.",
            "Compare DATABASE_URL with the server's address, name, user and password, and see "
            "that it lets this machine in.",
        )
        return findings
    finally:
        await db.close()
    findings.ok("database", "The database answers.")
    findings.ok_or_fail(
        found == REVISION,
        "migrations",
        f"The tables are those of this version ({REVISION}).",
        f"The tables are those of {found or 'no version'}; this version needs {REVISION}.",
        _MIGRATE,
    )
    if not settings.database_transaction_pooling:  # behind a pooler the server's limit is its own
        _count_connections(findings, settings, limit)
    return findings


def _count_connections(findings: Findings, settings: Settings, limit: int) -> None:
    """How many of the web's dynos or containers fit beside one worker."""
    processes, pool = settings.web_concurrency, settings.database_pool_size
    dyno = processes * pool
    fit = max(0, limit - pool - _RESERVED_CONNECTIONS) // dyno
    sums = (
        f"The database takes {limit} connections from us. A web dyno or container holds up to "
        f"{dyno} (WEB_CONCURRENCY {processes} x CLAIMCHECK_DATABASE_POOL_SIZE {pool}), a worker "
        f"{pool}, and {_RESERVED_CONNECTIONS} are left for migrations and commands: "
    )
    findings.ok_or_warn(
        fit > 0,
        "connections",
        f"{sums}{fit} web beside one worker.",
        f"{sums}there is no room for one web beside one worker.",
        "Lower CLAIMCHECK_DATABASE_POOL_SIZE or WEB_CONCURRENCY, or put PgBouncer in between "
        "(docs/deploy.md).",
    )
