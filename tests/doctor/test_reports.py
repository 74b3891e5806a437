"""The doctor's report: on the command line, over HTTP, and remembered for a while."""

import asyncio
import json
from datetime import timedelta

import pytest

from app.doctor.findings import Report
from app.doctor.report_cache import ReportCache
from app.errors import ExaminationUnderWay
from app.settings.model import load_settings
from app.store.signer import utc_now
from tests.support.buckets import SetUpBucket
from tests.support.command import claimcheck
from tests.support.service import running


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_the_command(bucket: SetUpBucket) -> None:
    done = claimcheck("doctor", **bucket.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ sealing files" in done.stdout
    assert "! signature-age files" in done.stdout
    assert "0 failure" in done.stdout

    bucket.owner.delete_bucket_cors(Bucket=bucket.name)
    done = claimcheck("doctor", **bucket.environ)
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ cors files" in done.stdout
    assert "→ Run `claimcheck bucket apply`." in done.stdout

    done = claimcheck("doctor", "--json", **bucket.environ)
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert report["level"] == "failure"
    assert {"cors"} == {f["check"] for f in report["findings"] if f["level"] == "failure"}
    assert report["destinations"]["files"]["abilities"]["forms"] is True


def test_the_command_names_a_misspelt_setting() -> None:
    done = claimcheck("doctor", "--json", CLAIMCHECK_CROS_ORIGINS="x")
    assert done.returncode == 1
    [finding] = json.loads(done.stdout)["findings"]
    assert finding["check"] == "settings"
    assert "Did you mean CLAIMCHECK_CORS_ORIGINS?" in finding["remedy"]


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_capabilities(bucket: SetUpBucket) -> None:
    async with running(load_settings(bucket.environ)) as client:
        first = await client.get("/v1/capabilities")
        assert first.status_code == 200, first.text
        body = first.json()
        assert body["level"] == "warning"
        assert body["destinations"]["files"]["abilities"]["versions"] is True
        assert {f["check"] for f in body["findings"]} >= {"cors", "sealing", "migrations"}
        # The same report for ten minutes, whatever happens meanwhile.
        bucket.owner.delete_bucket_cors(Bucket=bucket.name)
        assert (await client.get("/v1/capabilities")).json() == body
    assert bucket.left_behind() == []


class Slow:
    """An examination that ends when it is told to."""

    def __init__(self) -> None:
        self.started, self.ended = 0, 0
        self.has_started, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> Report:
        self.started += 1
        self.has_started.set()
        try:
            await self.may_end.wait()
        finally:
            self.ended += 1
        return Report(())


async def test_one_examination_for_all_who_ask() -> None:
    now, slow = [utc_now()], Slow()
    cache = ReportCache(slow, lambda: now[0])
    asked = [asyncio.create_task(cache.get()) for _ in range(5)]
    await slow.has_started.wait()
    slow.may_end.set()
    answers = await asyncio.gather(*asked)
    assert answers == [(Report(()), now[0])] * 5
    assert slow.started == 1
    now[0] += timedelta(minutes=9, seconds=59)
    assert await cache.get() == answers[0]
    now[0] += timedelta(seconds=1)
    assert (await cache.get())[1] == now[0]
    assert slow.started == 2
    await cache.close()


async def test_an_examination_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.doctor.report_cache._LONGEST_WAIT", 0)
    slow = Slow()
    cache = ReportCache(slow, utc_now)
    for _ in range(2):
        with pytest.raises(ExaminationUnderWay) as caught:
            await cache.get()
        assert caught.value.retry_after == 5
        await asyncio.sleep(0)
    assert slow.started == 1
    await cache.close()
    assert slow.ended == 1


async def test_an_examination_that_fails_is_not_remembered() -> None:
    async def broken() -> Report:
        raise OSError("the store went away")

    cache = ReportCache(broken, utc_now)
    for _ in range(2):
        with pytest.raises(OSError, match="went away"):
            await cache.get()
