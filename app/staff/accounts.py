"""Staff: who may sign in to the admin panel, their passwords and their sessions.

A session is a random token whose SHA-256 the database holds, so that it can be ended there. Each
attempt to sign in is counted before the password is checked, so that many at once are counted
exactly, over all processes.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from app.access import makers
from app.access.makers import Made
from app.core.client_address import limited_network
from app.core.opaque_tokens import RANDOM_BYTES, STAFF_PREFIX, hash_token, is_token, make_token
from app.core.principal import (
    SCOPE_DESCRIPTIONS,
    STAFF_CREDENTIAL,
    STAFF_OWNER,
    Principal,
    Scope,
    is_name,
)
from app.db import staff as db_staff
from app.db.connections import Connection
from app.logs.audit import audit
from app.models.staff import Staff, StaffSession
from app.runtime.resources import Resources
from app.settings.model import Settings

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 1024
# A session ends after so long, and before that when nothing was done with it for so long.
SESSION: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=1)
# `seen_at` is written at most so often: not every request is worth a write.
_SEEN_INTERVAL: Final = timedelta(minutes=1)
# Failed attempts in a window. All who come through one proxy share its address. An account alone is
# counted far more generously: an attacker needs many addresses to lock its owner out.
WINDOW: Final = timedelta(minutes=15)
MAX_OF_ADDRESS: Final = 100
MAX_OF_ACCOUNT_THERE: Final = 10
MAX_OF_ACCOUNT: Final = 100

_T = TypeVar("_T")
# Each hash takes 64 MiB and a core for a moment: a small machine bears two at once.
_threads: Final = ThreadPoolExecutor(2, "argon2")


class SignInRefused(Exception):
    """No such name, a wrong password, or a disabled account: the message does not say which."""


class TooManyAttempts(Exception):
    """The address has failed too often, or the account; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = -(-retry_after // 60)
        super().__init__(
            f"Too many failed attempts. Try again in {minutes} "
            f"{'minute' if minutes == 1 else 'minutes'}."
        )
        self.retry_after = retry_after


def tidy_name(name: str) -> str:
    """The name as it is stored: capitals and spaces around it do not matter."""
    return name.strip().casefold()


def principal_of(settings: Settings, member: Staff) -> Principal:
    """The principal of a member of staff, who acts for their whole tenant."""
    scopes = frozenset(every_scope(settings) if member.scopes is None else member.scopes)
    return Principal(
        owner=f"{STAFF_OWNER}{member.name}",
        tenant=member.tenant,
        scopes=scopes | {Scope.FILES_ALL},
        implied=frozenset({Scope.FILES_ALL}) - scopes,
        credential=_credential(member.id),
    )


def every_scope(settings: Settings) -> dict[str, str]:
    """All scopes, those of destinations and record fields included, each with its description."""
    asked = [(f"the destination {one.name}", one.scopes) for one in settings.destinations.values()]
    asked += [
        (f"the field {name} of {kind}", field.scopes)
        for kind, fields in settings.records.items()
        for name, field in fields.items()
    ]
    places = defaultdict(list)
    for place, scopes in asked:
        for scope in set(scopes) - set(SCOPE_DESCRIPTIONS):
            places[scope].append(place)
    return SCOPE_DESCRIPTIONS | {
        scope: f"put files into {', '.join(places[scope])}" for scope in sorted(places)
    }


async def create(
    res: Resources, name: str, password: str, *, tenant: str, scopes: Sequence[str] | None
) -> bool:
    """Create a member of staff, who may sign in; False where the name is taken."""
    now = res.clock()
    row = Staff(
        id=res.new_id(now),
        name=tidy_name(name),
        tenant=tenant,
        scopes=None if scopes is None else sorted(set(scopes)),
        password_hash=await _in_thread(_hash, password),
        created_at=now,
        disabled_at=None,
    )
    async with res.db.connection() as db:
        is_new = await db_staff.insert_staff(db, row)
    if is_new:
        audit("staff.created", staff_id=row.id, name=row.name, staff_scopes=row.scopes)
    return is_new


async def list_staff(res: Resources) -> list[Staff]:
    async with res.db.connection() as db:
        return await db_staff.list_staff(db)


async def set_password(res: Resources, name: str, password: str) -> Made | None:
    """Set another password, end all sessions, those of uploads that were made in the panel too, and
    forget failed attempts. What the name had made; None: no such name.
    """
    name, hashed, now = tidy_name(name), await _in_thread(_hash, password), res.clock()
    async with res.db.transaction() as db:
        staff_id = await db_staff.set_password(db, name, hashed)
        if staff_id is None:
            return None
        _, made = await _end_sessions(db, staff_id, now)
        await db_staff.clear_attempts(db, _account(name))
    _changed(res, staff_id, name, "password", made)
    return made


async def disable(res: Resources, name: str, *, revoke_made: bool = False) -> Made | None:
    """Forbid to sign in, and end all sessions, those of uploads too, and requests for files; with
    `revoke_made` revoke the keys that were made in the panel, and with them. What they had made;
    None: no such name.
    """
    name, now = tidy_name(name), res.clock()
    async with res.db.transaction() as db:
        staff_id = await db_staff.set_disabled(db, name, now)
        if staff_id is None:
            return None
        credential = _credential(staff_id)
        await db_staff.revoke_sessions(db, staff_id, now)
        made = await makers.end_made(db, credential, now, revoke_keys=revoke_made)
    _changed(res, staff_id, name, "disabled", made)
    return made


async def enable(res: Resources, name: str) -> bool:
    """Allow to sign in again. False: no such name."""
    name = tidy_name(name)
    async with res.db.connection() as db:
        staff_id = await db_staff.set_disabled(db, name, None)
    if staff_id is not None:
        _changed(res, staff_id, name, "enabled")
    return staff_id is not None


async def sign_out_everywhere(res: Resources, name: str) -> tuple[int, Made] | None:
    """End all sessions of the name, those of uploads too; how many there were of its own, and what
    it had made. None: no such name.
    """
    now = res.clock()
    async with res.db.transaction() as db:
        member = await db_staff.staff_by_name(db, tidy_name(name))
        if member is None:
            return None
        ended, made = await _end_sessions(db, member.id, now)
    _changed(res, member.id, member.name, "signed out", made)
    return ended, made


async def _end_sessions(db: Connection, staff_id: UUID, now: datetime) -> tuple[int, Made]:
    """End the sessions of somebody who stays; links that they have sent to others stay, too."""
    ended = await db_staff.revoke_sessions(db, staff_id, now)
    made = await makers.end_made(
        db, _credential(staff_id), now, revoke_keys=False, keep_requests=True
    )
    return ended, made


def _changed(
    res: Resources, staff_id: UUID, name: str, what: str, made: Made | None = None
) -> None:
    audit("staff.changed", staff_id=staff_id, name=name, what=what)
    if made is not None:
        makers.forget(res, _credential(staff_id), made)


def _credential(staff_id: UUID) -> str:
    return f"{STAFF_CREDENTIAL}:{staff_id}"


async def sign_in(
    res: Resources, name: str, password: str, *, address: str | None, before: str | None
) -> str:
    """The token of a new session, never one that the browser had before, which ends.

    `address` is where the attempt comes from, None: that is not known. Raises SignInRefused and
    TooManyAttempts.
    """
    name, now = tidy_name(name), res.clock()
    account, place = _account(name), f"address {limited_network(address)}"
    # From the outside in: a refused attempt counts no further, or one address could use up the
    # account's limit for all addresses, or fill the table with names.
    there = f"{account}\n{place}"
    limits = {place: MAX_OF_ADDRESS, there: MAX_OF_ACCOUNT_THERE, account: MAX_OF_ACCOUNT}
    refused = None
    async with res.db.connection() as db:
        member = await db_staff.staff_by_name(db, name) if is_name(name) else None
        await db_staff.forget_attempts(db, now)
        for subject, most in limits.items():
            attempts, until = await db_staff.count_attempt(db, subject, now, now + WINDOW)
            if attempts > most:
                refused = TooManyAttempts(max(1, round((until - now).total_seconds())))
                break
    # Not in the block above, where an exception may roll back the counts.
    if refused is not None:
        audit("staff.refused", reason="too many attempts", staff_id=member and member.id)
        raise refused
    right = await _in_thread(_verify, member and member.password_hash, password)
    if member is None or not right or member.disabled_at is not None:
        # Without the name as typed: people type passwords where names go.
        audit("staff.refused", reason="password", staff_id=member and member.id)
        raise SignInRefused("This name and password do not go together, or may not sign in.")
    token = make_token(STAFF_PREFIX, os.urandom(RANDOM_BYTES))
    now = res.clock()
    async with res.db.transaction() as db:
        for subject in limits:
            await db_staff.uncount_attempt(db, subject)
        await db_staff.clear_attempts(db, there)
        if before is not None:
            await db_staff.revoke_session(db, hash_token(before), now)
        await db_staff.insert_session(
            db,
            StaffSession(res.new_id(now), hash_token(token), member.id, now, now, now + SESSION),
        )
    audit("staff.entered", staff_id=member.id, name=member.name)
    return token


async def member_of(res: Resources, token: str) -> Staff | None:
    """The member of staff whose session the token is; None where it has ended or never was."""
    if not is_token(token):
        return None
    now, token_hash = res.clock(), hash_token(token)
    async with res.db.connection() as db:
        found = await db_staff.staff_by_session(db, token_hash, now, now - IDLE)
        if found is None:
            return None
        member, seen_at = found
        if seen_at < now - _SEEN_INTERVAL:
            await db_staff.note_seen(db, token_hash, now)
    return member


async def sign_out(res: Resources, token: str) -> None:
    """End one session."""
    async with res.db.connection() as db:
        await db_staff.revoke_session(db, hash_token(token), res.clock())
    audit("staff.left")


def _account(name: str) -> str:
    # Input that cannot be a name is counted too.
    return f"account {name if is_name(name) else ''}"


def _hasher() -> "PasswordHasher":
    # Of the extra `admin`, without which there are no staff.
    from argon2 import PasswordHasher

    return PasswordHasher()


def _hash(password: str) -> str:
    return _hasher().hash(password)


@cache
def _dummy_hash() -> str:
    return _hash(os.urandom(16).hex())


def _verify(hashed: str | None, password: str) -> bool:
    """Whether the password is right; for an unknown name (None) that takes as long."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > MAX_PASSWORD:
        return False
    try:
        return _hasher().verify(hashed or _dummy_hash(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


async def _in_thread(function: Callable[..., _T], *arguments: object) -> _T:
    return await asyncio.get_running_loop().run_in_executor(_threads, function, *arguments)
