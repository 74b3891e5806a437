"""`claimcheck dev`: everything on this machine. For development only; all of it vanishes."""

import argparse
import asyncio
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from app.commands.parser import Subparsers, add_command
from app.commands.server import refuse_busy_address, serve_alone
from app.core.principal import DEV
from app.db.migrations import migrate
from app.doctor.seals import remember_seals
from app.models.files import Seal
from app.models.seals import CONTENT_MD5, MD5_ETAGS, ProvenSeal
from app.runtime.process import configure_logging
from app.runtime.resources import open_resources, open_session
from app.settings.model import Settings, load_settings, require_deployed
from app.settings.panel import missing_for_panel
from app.staff import accounts as staff
from app.store.setup.provision import apply, own_origins
from app.store.signer import utc_now

BUCKET = "claimcheck"
STAFF = "dev"
# Records for the panel to show, where none are declared.
_EXAMPLE = {
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PRODUCT__GALLERY__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PRODUCT__GALLERY__MANY": "true",
}


def add(commands: Subparsers) -> None:
    purpose = "start the service, with database and bucket of its own where none is set"
    add_command(commands, "dev", _dev, purpose)


def _dev(_: argparse.Namespace) -> None:
    # Imported here: help is for every system, and a deployment has neither moto nor PostgreSQL.
    from app.embedded.postgres import EmbeddedPostgresError
    from app.embedded.s3 import EmbeddedS3Error

    try:
        _run()
    except (EmbeddedPostgresError, EmbeddedS3Error) as error:
        sys.exit(f"claimcheck cannot start: {error}")


def _run() -> None:
    """Start what is not configured (database, bucket), migrate, and serve until stopped.

    Without a setting, authentication is off only where neither is configured: what is started here
    holds no data of anybody. Raises ConfigurationError.
    """
    from app.embedded.postgres import start_postgres

    # uvicorn raises the signal again after its shutdown; it must not end us before our children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    environ = dict(os.environ)
    given = load_settings(environ)
    own_database = given.database_url is None
    own_bucket = not any(d.bucket for d in given.destinations.values())
    if given.host is None:
        environ["CLAIMCHECK_HOST"] = "127.0.0.1"
    if own_database and own_bucket:
        environ.setdefault("CLAIMCHECK_AUTH", "none")
        environ.setdefault("CLAIMCHECK_SECRET_KEY", secrets.token_urlsafe(32))
        if missing_for_panel() is None:
            environ.setdefault("CLAIMCHECK_ADMIN", "true")
        if not given.records and "images" in given.destinations:
            environ |= _EXAMPLE
    refuse_busy_address("127.0.0.1", given.port)
    with ExitStack() as stack:
        if own_database:
            _say("Starting PostgreSQL ...")
            environ["DATABASE_URL"] = stack.enter_context(start_postgres())
        if own_bucket:
            _say("Starting S3 (moto behind a gate) ...")
            environ = _with_s3(stack, environ)
        settings = load_settings(environ)
        require_deployed(settings, on_this_machine=True)
        if own_bucket:
            # Its own pages send there whatever the authentication: the panel's do.
            pages = (*settings.cors_origins, *own_origins(settings))
            prepared = settings.model_copy(update={"cors_origins": pages})
            asyncio.run(apply(open_session(settings), prepared))
        assert settings.database_url is not None
        migrate(settings.database_url.get_secret_value())
        if own_bucket:
            asyncio.run(_vouch_for_store(settings))
        password = None
        if settings.admin and own_database:
            password = secrets.token_urlsafe(12)
            asyncio.run(_create_account(settings, password))
        _print_addresses(settings, password, own_database=own_database, own_bucket=own_bucket)
        configure_logging()
        if own_database:
            # What is in another may be somebody else's worker's.
            stack.enter_context(_working(settings))
        # One process, whatever WEB_CONCURRENCY says: a forked one would end what was started here.
        serve_alone(settings)


def _with_s3(stack: ExitStack, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the embedded store in place of whatever AWS keys the shell has."""
    from app.embedded.s3 import start_s3

    access_key, secret_key = f"DEV{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    endpoint = stack.enter_context(start_s3(access_key, secret_key))
    for profile in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(profile, None)  # botocore looks there, and fails if there is no such profile
    foreign = {"AWS_SESSION_TOKEN", "AWS_S3_PUBLIC_ENDPOINT_URL"}
    kept = {name: value for name, value in environ.items() if name not in foreign}
    return kept | {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_ENDPOINT_URL": endpoint,
        "AWS_S3_REGION_NAME": "us-east-1",
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
    }


async def _vouch_for_store(settings: Settings) -> None:
    """Note that every seal holds in the embedded store, and that its MD5s do, as the tests prove
    (`tests/contract/`).
    """
    places = {(d.store, d.bucket) for d in settings.destinations.values()}
    holding = [
        ProvenSeal(*place, seal, holds=True, tried_at=utc_now())
        for place in places
        for seal in (*Seal, CONTENT_MD5, MD5_ETAGS)
        if seal is not Seal.NO
    ]
    await remember_seals(settings, holding)


async def _create_account(settings: Settings, password: str) -> None:
    async with open_resources(settings) as res:
        await staff.create(res, STAFF, password, tenant=DEV.tenant, scopes=None)


@contextmanager
def _working(settings: Settings) -> Iterator[None]:
    """Do in a thread what `claimcheck worker` does in a process of its own: uploads confirm
    themselves, webhooks are sent.
    """
    # Imported here: help needs none of it.
    from app.commands.sweep import work

    async def run() -> None:
        async with open_resources(settings) as res:
            await work(res, asyncio.Event())

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        working = loop.create_task(run())

        def until_cancelled() -> None:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(working)

        thread = threading.Thread(target=until_cancelled, name="worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(working.cancel)
            thread.join()


def _print_addresses(
    settings: Settings, password: str | None, *, own_database: bool, own_bucket: bool
) -> None:
    here = f"http://127.0.0.1:{settings.port}"
    _say(f"\n  The page   {here}/\n  The API    {here}/docs")
    if settings.admin:
        _say(f"  The panel  {here}/admin/")
    if password is not None:
        _say(f"             name {STAFF}, password {password}")
    _say("")
    own = [name for name, is_own in (("database", own_database), ("bucket", own_bucket)) if is_own]
    if own:
        run, them = ("run", "them") if len(own) > 1 else ("runs", "it")
        _say(f"  The {' and the '.join(own)} {run} on this machine, for development only:")
        _say(f"  everything in {them} vanishes at the end. Ctrl-C ends it.\n")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
