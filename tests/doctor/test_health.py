"""The doctor finds stores well that were set up, and leaves nothing behind in them."""

import asyncio
import json
from typing import Any

import pytest

from app.doctor.examination import Examination, tidy_up
from app.doctor.examine import examine
from app.doctor.findings import Level
from app.settings.model import load_settings
from app.store.signer import Presigned, Signer
from tests.doctor.steps import FAILS, WARNS, found
from tests.support.buckets import ONE, ORIGIN, SetUpBucket
from tests.support.service import Store
from tests.support.stores import rclone


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_the_embedded_store_is_well(bucket: SetUpBucket) -> None:
    report = await bucket.examine()
    assert found(report, Level.FAILURE) == {}
    assert set(found(report, Level.WARNING)) == {"signature-age"}
    abilities = report.destinations["files"].abilities
    assert abilities.forms
    assert abilities.versions
    assert abilities.multipart
    assert abilities.checksums
    assert report.destinations["files"].settings == {}
    assert bucket.left_behind() == []


@pytest.mark.parametrize("bucket", ["ceph"], indirect=True)
@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("set_well", [True, False])
async def test_ceph_is_well_with_the_least_rights(
    bucket: SetUpBucket, method: str, set_well: bool
) -> None:
    bucket.environ["CLAIMCHECK_DESTINATIONS__FILES__METHOD"] = method
    lacks = {"object-ownership", "default-encryption", "checksums", "signature-age"}
    if method == "put":
        # It obeys headers that nobody signed: the advice is to send forms.
        lacks |= {"advice"}
    if set_well:
        bucket.environ["CLAIMCHECK_DESTINATIONS__FILES__UNSIZED_PARTS"] = "false"
    else:
        # Copies, which the policy of `bucket apply` stops, but for those of parts.
        lacks |= {"bucket-policy", "part-copies"} | ({"put-headers"} if method == "put" else set())
        policy = json.loads(bucket.owner.get_bucket_policy(Bucket=bucket.name)["Policy"])
        kept = [each for each in policy["Statement"] if each.get("Sid") != "ClaimcheckCopies"]
        assert len(kept) == len(policy["Statement"]) - 1
        policy["Statement"] = kept
        bucket.owner.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))
    report = await bucket.examine()
    assert found(report, Level.FAILURE) == {}
    warnings = found(report, Level.WARNING)
    assert set(warnings) == lacks
    assert all(warning.meaning and warning.remedy for warning in warnings.values())
    advice = report.destinations["files"]
    assert advice.store == "Ceph RGW"
    better = {"CLAIMCHECK_DESTINATIONS__FILES__METHOD": "post"}
    assert advice.settings == (better if method == "put" else {})
    assert bucket.left_behind() == []


async def test_a_store_without_forms(database_url: str) -> None:
    if reason := rclone.available():
        pytest.skip(reason)
    with rclone.start_rclone("*") as server:
        store = Store(server.endpoint_url, server.access_key, server.secret_key)
        environ = {
            "DATABASE_URL": database_url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_CORS_ORIGINS": ORIGIN,
            "CLAIMCHECK_DESTINATIONS": ONE,
            **store.environ(server.bucket),
        }
        report = await examine(load_settings(environ), environ)
        assert "method = put" in found(report, FAILS)["post"].remedy
        advice = report.destinations["files"]
        assert advice.settings == {"CLAIMCHECK_DESTINATIONS__FILES__METHOD": "multipart"}
        assert advice.abilities.forms is False

        by_put = environ | {"CLAIMCHECK_DESTINATIONS__FILES__METHOD": "put"}
        report = await examine(load_settings(by_put), by_put)
        failures, warnings = found(report, FAILS), found(report, WARNS)
        # rclone lets no page send the headers that are signed, whatever is configured.
        assert set(failures) == {"cors", "cors-foreign"}
        assert "x-amz-meta-claimcheck-id" in failures["cors"].meaning
        assert {"sealing", "checksums", "lifecycle", "public-access-block"} <= set(warnings)
        claimed = by_put | {"CLAIMCHECK_DESTINATIONS__FILES__CONDITIONAL_WRITES": "true"}
        failures = found(await examine(load_settings(claimed), claimed), FAILS)
        assert "conditional_writes = false" in failures["sealing"].remedy

        environ |= advice.settings
        report = await examine(load_settings(environ), environ)
        failures = found(report, FAILS)
        assert set(failures) == {"cors-foreign"}
        assert "https://claimcheck-doctor.invalid" in failures["cors-foreign"].meaning
        assert "origin is *" in failures["cors-foreign"].remedy
        assert "sealing" not in found(report, WARNS)
        assert report.destinations["files"].settings == {}
        assert not server.client().list_objects_v2(Bucket=server.bucket).get("Contents")


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_age_is_tried_beyond_what_any_destination_of_the_bucket_needs(
    bucket: SetUpBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy allows what the longest link needs, which need not be of this destination."""
    hours = 50 * 3600
    settings = {"files": {}, "images": {"link_expires_in": hours}}
    bucket.environ["CLAIMCHECK_DESTINATIONS"] = json.dumps(settings)
    ages: list[int] = []

    class Spy(Signer):
        async def presign(self, *args: Any, expires_in: int, **more: Any) -> Presigned:
            ages.append(expires_in)
            return await super().presign(*args, expires_in=expires_in, **more)

    monkeypatch.setattr("app.doctor.objects.Signer", Spy)
    await bucket.examine()
    assert len(ages) == 2
    assert min(ages) > hours


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_an_examination_that_is_cut_short_tidies_up_everywhere(
    bucket: SetUpBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One destination is done with it sooner than the other."""
    bucket.environ["CLAIMCHECK_DESTINATIONS"] = json.dumps({"files": {}, "images": {}})
    under_way, tidied = asyncio.Semaphore(0), []

    async def examined_for_ever(*_: Any) -> None:
        under_way.release()
        await asyncio.Event().wait()

    async def tidied_up(examination: Examination) -> None:
        if examination.destination.name == "images":
            await asyncio.sleep(0.1)
        await tidy_up(examination)
        tidied.append(examination.destination.name)

    monkeypatch.setattr("app.doctor.examine.check_cors", examined_for_ever)
    monkeypatch.setattr("app.doctor.examine.tidy_up", tidied_up)
    examination = asyncio.create_task(bucket.examine())
    for _ in range(2):
        await asyncio.wait_for(under_way.acquire(), 120)
    examination.cancel()
    await asyncio.wait({examination})
    assert sorted(tidied) == ["files", "images"]
    assert bucket.left_behind() == []
