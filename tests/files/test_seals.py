"""`sealed` tells what the doctor has proved of the bucket, and never what the method suggests."""

from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.doctor.examine import examine
from app.doctor.findings import Abilities, Advice
from app.doctor.seals import proven_seals, remember_seals
from app.models.files import Seal
from app.models.seals import ProvenSeal
from app.settings.model import Settings
from app.store.signer import utc_now
from tests.support.service import Clock, running
from tests.support.steps import stored


async def sealed(client: httpx.AsyncClient, file: dict[str, str]) -> str:
    one = (await client.get(f"/v1/files/{file['id']}")).json()["sealed"]
    [listed] = (await client.get("/v1/files")).json()["items"]
    assert listed["sealed"] == one
    return str(one)


async def test_only_what_was_proved_is_told(settings: Settings, web: httpx.AsyncClient) -> None:
    """Also of files that were confirmed before; of another store or bucket nothing is believed."""
    clock, files = Clock(), settings.destinations["files"]
    async with running(settings, clock=clock) as client:
        file = await stored(client, web)
        assert (file["sealed"], file["version_id"] is None) == ("no", False)
        for store, bucket, seal, holds, expected in (
            ("http://127.0.0.1:1", files.bucket, "version", True, "no"),
            (files.store, "other", "version", True, "no"),
            (files.store, files.bucket, "multipart", True, "no"),
            (files.store, files.bucket, "version", True, "version"),
            (files.store, files.bucket, "version", False, "no"),
        ):
            await remember_seals(settings, [ProvenSeal(store, bucket, seal, holds, utc_now())])
            clock.ahead += timedelta(minutes=1)
            assert await sealed(client, file) == expected


async def test_the_doctor_remembers_what_it_proved(
    settings: Settings, db: asyncpg.Connection
) -> None:
    only = {"files": settings.destinations["files"]}
    await examine(settings.model_copy(update={"destinations": only}), {})
    rows = await db.fetch("SELECT store, bucket, seal, holds FROM proven_seals")
    place = only["files"].store, only["files"].bucket
    assert {tuple(row) for row in rows} == {
        (*place, seal, True) for seal in Seal if seal is not Seal.NO
    }


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ([{}], {}),
        ([{"multipart": False}], {"multipart": False}),
        # Wherever it was tried.
        ([{"multipart": True}, {"multipart": False}], {"multipart": False}),
        ([{"versions": True}, {"versions": None}], {"version": True}),
        ([{"conditional_writes": True, "signed_headers_only": False}], {"conditional": False}),
        ([{"conditional_writes": True, "signed_headers_only": True}], {"conditional": True}),
        ([{"conditional_writes": False}], {"conditional": False}),
    ],
)
def test_a_seal_holds_if_it_did_wherever_it_was_tried(
    settings: Settings, abilities: list[dict[str, bool]], expected: dict[str, bool]
) -> None:
    destinations = list(settings.destinations.values())[: len(abilities)]
    advice = {
        destination.name: Advice("S3", Abilities(**found), {})
        for destination, found in zip(destinations, abilities, strict=True)
    }
    found = proven_seals(destinations, advice, utc_now())
    assert {each.seal: each.holds for each in found} == expected
