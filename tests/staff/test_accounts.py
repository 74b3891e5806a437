"""Who may sign in to the admin panel: made on the command line, let in, throttled, sent away."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO
from typing import Any

import argon2
import asyncpg
import pytest

from app import cli
from app.access import api_keys, upload_sessions
from app.core.opaque_tokens import STAFF_PREFIX, hash_token
from app.core.principal import Scope
from app.db import files as db_files
from app.logs.redaction import redact
from app.models.files import State
from app.models.staff import Staff
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from app.staff import accounts as staff
from app.staff.accounts import SignInRefused, TooManyAttempts
from app.uploads.announce import announce_unsized
from tests.support.service import UNKNOWN_ID, Clock, in_thread, log_lines

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(staff, "_hasher", lambda: cheap)
    staff._dummy_hash.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def res(settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    async with open_resources(settings, clock=clock) as res:
        yield res


async def sign_in(res: Resources, **how: Any) -> str:
    asked = {"name": "ann@example.com", "password": PASSWORD, "address": "192.0.2.1"} | how
    return await staff.sign_in(
        res, asked["name"], asked["password"], address=asked["address"], before=how.get("before")
    )


@pytest.fixture
async def ann(res: Resources) -> str:
    assert await staff.create(res, "Ann@Example.com", PASSWORD, tenant="acme", scopes=None)
    return "ann@example.com"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Admin:
    """`claimcheck admin ...` with nobody to ask, and what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch
        self.stdin: type[StringIO] = StringIO
        self.logged = ""

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        self.monkeypatch.setattr("sys.stdin", self.stdin(stdin))
        in_thread(cli.main, ["admin", *arguments])
        out, self.logged = self.capsys.readouterr()
        return out

    def last_logged(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.logged.splitlines()[-1])
        return line

    def refusal(self, *arguments: str, stdin: str = "") -> str:
        with pytest.raises(SystemExit) as caught:
            self(*arguments, stdin=stdin)
        assert isinstance(caught.value.code, str)
        return caught.value.code


@pytest.fixture
def admin(
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Admin:
    for name in os.environ:
        if name.startswith(("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL")):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return Admin(capsys, monkeypatch)


async def test_the_command_line(admin: Admin, res: Resources) -> None:
    assert "12 to 1024 characters" in admin.refusal("create-user", "bob", stdin="too short\n")
    refused = admin.refusal("create-user", "bob", "--scope", "nosuch", stdin=PASSWORD)
    assert "There is no scope 'nosuch'" in refused
    assert "name must be printable" in admin.refusal("create-user", "b\n\0b", stdin=PASSWORD)

    admin("create-user", " Bob ", "--scope", "files:read", stdin=f"{PASSWORD}\n")
    made = admin.last_logged()
    assert (made["event"], made["credential"], made["name"]) == ("staff.created", "cli", "bob")
    refused = admin.refusal("create-user", "bob", stdin=PASSWORD)
    assert "There is somebody called bob already" in refused
    listed = admin("list-users")
    assert "bob" in listed
    assert "files:read" in listed
    assert PASSWORD not in listed
    assert "argon2" not in listed

    token = await sign_in(res, name="BOB")
    assert admin("sign-out", "bob") == "Ended 1 session(s).\n"
    assert await staff.member_of(res, token) is None

    admin("set-password", "bob", stdin="another password\n")
    with pytest.raises(SignInRefused):
        await sign_in(res, name="bob")
    admin("disable-user", "bob")
    assert admin.last_logged()["event"] == "staff.changed"
    assert "disabled" in admin("list-users")
    with pytest.raises(SignInRefused):
        await sign_in(res, name="bob", password="another password")
    admin("enable-user", "bob")
    assert await sign_in(res, name="bob", password="another password")
    assert "There is nobody called eve" in admin.refusal("disable-user", "eve")

    # What they made is listed, or goes with them.
    [bob] = await staff.list_staff(res)
    maker = staff.principal_of(res.settings, bob)
    key, _ = await api_keys.create(
        res, maker, name="bob's", owner="key:bob", scopes=["files:read"], lifetime=None
    )
    listed = admin("disable-user", "bob")
    assert str(key.id) in listed
    assert "good" in listed
    assert "`--made revoke` ends them" in admin.logged
    ended = admin("disable-user", "bob", "--made", "revoke")
    assert str(key.id) in ended
    assert "revoked" in ended
    assert admin("disable-user", "bob", "--made", "revoke") == ""


async def test_parts_of_unknown_size_go_with_what_staff_had_minted(
    admin: Admin, res: Resources
) -> None:
    admin("create-user", "bob", stdin=f"{PASSWORD}\n")
    [bob] = await staff.list_staff(res)
    for command in ("set-password", "sign-out", "disable-user"):
        session, token = await upload_sessions.mint(
            res,
            staff.principal_of(res.settings, bob),
            destination="files",
            owner="ann",
            max_files=1,
            max_bytes=None,
            expires_in=600,
            unsized=True,
        )
        browser, _ = await upload_sessions.principal_of(res, hash_token(token))
        upload = await announce_unsized(res, browser, "files", "a.bin", "text/plain")
        assert upload.session_id == session.id
        admin(command, "bob", stdin=f"{PASSWORD}\n")
        async with res.db.connection() as db:
            found = await db_files.get_file(db, upload.id, browser)
        assert found is not None
        assert found.state == State.REMOVED


async def test_the_password_is_asked_for_twice_and_not_shown(
    admin: Admin, res: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [PASSWORD, PASSWORD + "?", PASSWORD, PASSWORD]

    def asked(prompt: str) -> str:
        with pytest.raises(RuntimeError):  # a loop would hold Ctrl-C back until the line is typed
            asyncio.get_running_loop()
        return typed.pop(0)

    monkeypatch.setattr("getpass.getpass", asked)
    admin.stdin = Terminal
    assert "two different passwords" in admin.refusal("create-user", "bob")
    admin("create-user", "bob")
    assert await sign_in(res, name="bob")

    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    assert "No password was given" in admin.refusal("create-user", "eve")


async def test_without_the_extra_the_command_says_what_to_install(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.commands.admin.find_spec", lambda name: None)
    assert ".[admin]" in admin.refusal("list-users")


async def test_a_session_is_the_tokens_holder(res: Resources, ann: str) -> None:
    token = await sign_in(res)
    member = await staff.member_of(res, token)
    assert member is not None
    assert member.name == ann
    principal = staff.principal_of(res.settings, member)
    # Not the owner of that name whom an identity provider knows.
    assert (principal.owner, principal.tenant) == (f"staff:{ann}", "acme")
    assert principal.scopes >= set(Scope)
    assert await staff.member_of(res, token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert await staff.member_of(res, "") is None
    await staff.sign_out(res, token)
    assert await staff.member_of(res, token) is None


async def test_scopes_narrow_what_one_may_do_in_his_tenant(res: Resources) -> None:
    await staff.create(res, "bob", PASSWORD, tenant="", scopes=["files:read"])
    member = await staff.member_of(res, await sign_in(res, name="bob"))
    assert member is not None
    principal = staff.principal_of(res.settings, member)
    assert principal.scopes == {"files:read", "files:all"}


async def test_nothing_that_signs_in_is_stored(res: Resources, ann: str, database_url: str) -> None:
    token = await sign_in(res)
    db = await asyncpg.connect(database_url)
    rows = await db.fetch("SELECT s.*, t.* FROM staff_sessions s JOIN staff t ON t.id = s.staff_id")
    await db.close()
    [row] = rows
    assert token.removeprefix(STAFF_PREFIX) not in str(tuple(row.values()))
    assert PASSWORD not in str(tuple(row.values()))
    assert row["password_hash"].startswith("$argon2id$")
    assert redact(f"cookie {token}") == f"cookie {STAFF_PREFIX}..."


async def test_signing_in_again_is_another_session_and_ends_the_one_before(
    res: Resources, ann: str
) -> None:
    first = await sign_in(res)
    second = await sign_in(res, before=first)
    assert first != second
    assert await staff.member_of(res, first) is None
    assert await staff.member_of(res, second) is not None


async def test_a_session_ends_after_an_idle_hour(res: Resources, ann: str, clock: Clock) -> None:
    token = await sign_in(res)
    for _ in range(3):
        clock.ahead += staff.IDLE - timedelta(minutes=1)
        assert await staff.member_of(res, token) is not None
    clock.ahead += staff.IDLE + timedelta(seconds=1)
    assert await staff.member_of(res, token) is None


async def test_a_session_ends_however_busy_it_is(res: Resources, ann: str, clock: Clock) -> None:
    token = await sign_in(res)
    clock.ahead = staff.IDLE
    while clock.ahead < staff.SESSION:
        clock.ahead += staff.IDLE / 2
        last = await staff.member_of(res, token)
    assert last is None


async def test_whoever_is_disabled_is_out_at_once(res: Resources, ann: str) -> None:
    token = await sign_in(res)
    await staff.disable(res, ann)
    assert await staff.member_of(res, token) is None


async def test_too_many_failures_of_one_account_from_one_address(
    res: Resources, ann: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted exactly, though they come at once. Its owner comes in from elsewhere."""
    caplog.set_level(logging.INFO, "claimcheck")
    await staff.create(res, "bob", PASSWORD, tenant="", scopes=None)
    answers = await asyncio.gather(
        *(sign_in(res, password=f"guess {n}") for n in range(14)), return_exceptions=True
    )
    kinds = [type(answer) for answer in answers]
    assert kinds.count(SignInRefused) == staff.MAX_OF_ACCOUNT_THERE
    assert kinds.count(TooManyAttempts) == 14 - staff.MAX_OF_ACCOUNT_THERE
    with pytest.raises(TooManyAttempts, match="Try again in 15 minutes") as caught:
        await sign_in(res, name=" ANN@example.com")
    assert 0 < caught.value.retry_after <= staff.WINDOW.total_seconds()
    refused = [line for line in log_lines(caplog, "audit") if line["event"] == "staff.refused"]
    assert {line["reason"] for line in refused} == {"password", "too many attempts"}
    member = next(one for one in await staff.list_staff(res) if one.name == ann)
    assert {line["staff_id"] for line in refused} == {str(member.id)}
    await sign_in(res, name="bob")
    assert await sign_in(res, address="192.0.2.2")
    clock.ahead = staff.WINDOW + timedelta(seconds=1)
    assert await sign_in(res)


async def test_one_address_keeps_nobody_out_who_comes_from_another(
    res: Resources, ann: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it tries, and whatever names: what is refused counts no further."""
    monkeypatch.setattr(staff, "MAX_OF_ACCOUNT", staff.MAX_OF_ACCOUNT_THERE + 1)
    for _ in range(staff.MAX_OF_ADDRESS):
        with pytest.raises((SignInRefused, TooManyAttempts)):
            await sign_in(res, password="wrong")
    for n in range(20):
        with pytest.raises(TooManyAttempts):
            await sign_in(res, name=f"nobody {n}")
    db = await asyncpg.connect(database_url)
    subjects = await db.fetch("SELECT subject FROM sign_in_attempts ORDER BY subject")
    await db.close()
    assert [row[0] for row in subjects] == [
        f"account {ann}",
        f"account {ann}\naddress 192.0.2.1",
        "address 192.0.2.1",
    ]
    for _ in range(3):
        assert await sign_in(res, address="192.0.2.2")


async def test_too_many_failures_of_one_account_from_everywhere(
    res: Resources, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "MAX_OF_ACCOUNT", 3)
    for n in range(3):
        with pytest.raises(SignInRefused):
            await sign_in(res, password="wrong", address=f"192.0.2.{n}")
    with pytest.raises(TooManyAttempts):
        await sign_in(res, address="192.0.2.4")


async def test_success_forgets_the_failures_before_it(res: Resources, ann: str) -> None:
    for _ in range(3):
        for _ in range(staff.MAX_OF_ACCOUNT_THERE - 1):
            with pytest.raises(SignInRefused):
                await sign_in(res, password="wrong")
        await sign_in(res)


async def test_another_password_lets_a_throttled_account_in(
    res: Resources, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "MAX_OF_ACCOUNT", staff.MAX_OF_ACCOUNT_THERE)
    for _ in range(staff.MAX_OF_ACCOUNT):
        with pytest.raises(SignInRefused):
            await sign_in(res, password="wrong")
    await staff.set_password(res, ann, "a new and long one")
    assert await sign_in(res, password="a new and long one")


async def test_too_many_failures_from_one_address(
    res: Resources, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an IPv6 network, all of which is one subscriber's; names need not exist."""
    monkeypatch.setattr(staff, "MAX_OF_ADDRESS", 3)
    for n in range(3):
        with pytest.raises(SignInRefused):
            await sign_in(res, name=f"nobody {n}\0", address=f"2001:db8::{n}")
    with pytest.raises(TooManyAttempts):
        await sign_in(res, address="2001:db8::ffff")
    assert await sign_in(res, address="2001:db8:0:1::1")
    for _ in range(5):
        assert await sign_in(res)


async def test_a_password_without_end_is_not_hashed(
    res: Resources, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "_hasher", None)
    with pytest.raises(SignInRefused):
        await sign_in(res, password="x" * (staff.MAX_PASSWORD + 1))


def test_what_staff_are_is_not_theirs_to_give(settings: Settings) -> None:
    """They act for their whole tenant; a key of theirs does if they were given `files:all`."""
    member = Staff(
        **dict.fromkeys(Staff._fields, None) | {"id": UNKNOWN_ID, "name": "a", "tenant": ""}
    )
    for scopes, may in ((["admin"], False), (["admin", "files:all"], True), (None, True)):
        caller = staff.principal_of(settings, member._replace(scopes=scopes))
        assert caller.sees_tenant
        assert ("files:all" in caller.grantable) is may
