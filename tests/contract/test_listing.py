"""Whole buckets are listed, and compared with the database, in whatever order a store lists."""

from typing import Any

import asyncpg
import pytest

from app.core.ids import uuid7
from app.models.files import State
from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings
from app.store.listing import list_bucket, list_objects
from app.store.signer import utc_now
from app.upkeep.reconcile import Kind, Section, reconcile
from tests.contract.flow import Flow
from tests.contract.stores import Feature, having
from tests.support.rows import insert, new_file
from tests.support.service import UNKNOWN_ID
from tests.support.upkeep import LONG

# Between `a` and `a/...` lie names with `!` and `.`, and behind them those with letters.
_NAMES = ("a/1", "a/2", "a/3", "a/4", "a!", "a.x", "aa", "é", "\U0001f600")


async def keys_of(
    res: Resources, section: Section, after: str = "", way: Any = list_objects
) -> list[str]:
    listing = way(res.buckets, section.destination, section.prefix, after)
    return [listed.key async for listed in listing]


@having()
async def test_a_bucket_is_listed_and_compared_whole(
    flow: Flow, contract_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "listed/"
    keys = [prefix + name for name in _NAMES]
    orphan, missing = prefix + "a-orphan", prefix + "a-missing"
    metadata = {"claimcheck-id": UNKNOWN_ID}
    for key in (*keys, orphan):
        flow.store.owner.put_object(
            Bucket=flow.store.bucket, Key=key, Body=b"hello", Metadata=metadata
        )
    settings = load_settings(
        {"DATABASE_URL": contract_database_url, **flow.store.service.environ(flow.store.bucket)}
    )
    destination = settings.destinations["files"].model_copy(update={"prefix": prefix})
    section = Section(destination, prefix)
    connection = await asyncpg.connect(contract_database_url)
    try:
        bucket, now = flow.store.bucket, utc_now()
        rows = [
            new_file(State.CONFIRMED, id=uuid7(now, bytes([n] * 8)), bucket=bucket, key=key)
            for n, key in enumerate((*keys, missing))
        ]
        await insert(connection, *rows)
        async with open_resources(settings, clock=lambda: utc_now() + LONG) as res:
            # The store gives two keys at a time.
            monkeypatch.setattr("app.store.listing._PAGE", 2)
            listed = await keys_of(res, section)
            assert sorted(listed) == sorted((*keys, orphan))
            if flow.kind.has(Feature.BYTE_ORDER):
                assert listed == sorted(listed, key=str.encode)
                assert await keys_of(res, section, way=list_bucket) == listed
                for at in (0, 3, len(listed) - 1):
                    assert await keys_of(res, section, listed[at]) == listed[at + 1 :]
            found = {(f.kind, f.key) async for f in reconcile(res, section)}
            told = {(Kind.MISSING, missing), (Kind.ORPHAN, orphan)}
            assert found == told if flow.kind.has(Feature.BYTE_ORDER) else found < told
    finally:
        await connection.execute("DELETE FROM files WHERE key LIKE $1 || '%'", prefix)
        await connection.close()
