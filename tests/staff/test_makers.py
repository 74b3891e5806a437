"""Keys and upload sessions that staff made at the panel, and what becomes of them."""

from typing import Any

import argon2
import pytest

from app.access import api_keys, upload_sessions
from app.core.principal import Principal
from app.errors import InvalidToken
from app.models.credentials import ApiKey
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from app.staff import accounts as staff

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(staff, "_hasher", lambda: cheap)


async def key_of(res: Resources, maker: Principal) -> ApiKey:
    key, _ = await api_keys.create(
        res, maker, name="made", owner=maker.owner, scopes=["files:read"], lifetime=None
    )
    return key


async def test_keys_and_sessions_end_with_who_made_them(settings: Settings) -> None:
    async with open_resources(settings) as res:
        for name in ("ann", "bob"):
            assert await staff.create(res, name, PASSWORD, tenant="acme", scopes=None)
        ann, bob = [staff.principal_of(settings, one) for one in await staff.list_staff(res)]
        assert ann.credential.startswith("staff:")

        async def session_of(caller: Principal) -> Any:
            session, _ = await upload_sessions.mint(
                res,
                caller,
                destination="files",
                owner=caller.owner,
                max_files=1,
                max_bytes=None,
                expires_in=600,
            )
            return session

        async def ended(session: Any) -> bool:
            found = await upload_sessions.get(res, bob, session.id)
            return found.revoked_at is not None

        sessions = [await session_of(caller) for caller in (ann, bob)]
        key = await key_of(res, ann)
        await key_of(res, bob)
        # Whoever may have taken the account over loses what was made with it.
        assert await staff.set_password(res, "ann", "another long password")
        assert [await ended(one) for one in sessions] == [True, False]
        sessions[0] = await session_of(ann)
        signed_out = await staff.sign_out_everywhere(res, "ann")
        assert signed_out is not None
        assert (signed_out[0], list(signed_out[1].sessions)) == (0, [sessions[0].id])
        assert [await ended(one) for one in sessions] == [True, False]

        sessions[0] = await session_of(ann)
        made = await staff.disable(res, "ann")
        assert made is not None
        assert [one.id for one in made.keys] == [key.id]
        assert list(made.sessions) == [sessions[0].id]
        assert [await ended(one) for one in sessions] == [True, False]
        assert (await api_keys.get_key(res, bob, key.id)).revoked_at is None
        # A request that was let in just before makes nothing any more.
        with pytest.raises(InvalidToken, match="was revoked"):
            await key_of(res, ann)
        with pytest.raises(InvalidToken, match="was revoked"):
            await session_of(ann)
        made = await staff.disable(res, "ann", revoke_made=True)
        assert made is not None
        assert [one.id for one in made.keys] == [key.id]
        assert (await api_keys.get_key(res, bob, key.id)).revoked_at is not None
        assert await staff.disable(res, "nobody") is None
