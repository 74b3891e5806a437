"""The doctor proves what a store makes of MD5s, where a destination wants them."""

from typing import Any

import asyncpg
import pytest

from app.core.destination import Destination
from app.doctor import integrity
from app.doctor.examination import Examination
from app.doctor.findings import Abilities, Findings, Level
from app.errors import BucketUnavailable
from app.models.seals import CONTENT_MD5, MD5_ETAGS
from tests.doctor.steps import found
from tests.support.buckets import SetUpBucket


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
@pytest.mark.parametrize("method", ["post", "put"])
async def test_a_store_that_holds_to_md5s(
    bucket: SetUpBucket, db: asyncpg.Connection, method: str
) -> None:
    """It is remembered for confirm, and pages may send the header."""
    bucket.environ["CLAIMCHECK_DESTINATIONS__FILES__METHOD"] = method
    bucket.environ["CLAIMCHECK_DESTINATIONS__FILES__INTEGRITY"] = "md5"
    report = await bucket.examine()
    assert found(report, Level.FAILURE) == {}
    assert {"integrity", "cors"} <= found(report, Level.OK).keys()
    abilities = report.destinations["files"].abilities
    assert (abilities.content_md5, abilities.md5_etags) == (True, True)
    rows = await db.fetch("SELECT seal FROM proven_seals WHERE holds")
    assert {CONTENT_MD5, MD5_ETAGS} <= {row[0] for row in rows}
    assert bucket.left_behind() == []


@pytest.mark.parametrize("bucket", ["embedded"], indirect=True)
async def test_pages_that_may_not_send_the_header(bucket: SetUpBucket) -> None:
    """Of a destination of forms, too, whose large files go in parts."""
    bucket.environ["CLAIMCHECK_DESTINATIONS__FILES__INTEGRITY"] = "md5"
    rules = bucket.owner.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
    for rule in rules:
        rule["AllowedHeaders"] = [n for n in rule["AllowedHeaders"] if n.lower() != "content-md5"]
    bucket.owner.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": rules})
    meaning = found(await bucket.examine(), Level.FAILURE)["cors"].meaning
    assert "PUT from" in meaning
    assert "POST from" not in meaning


async def examined(
    monkeypatch: pytest.MonkeyPatch, *tries: Any, method: Any = "post", wanted: Any = "md5"
) -> Examination:
    """The examination of a store with these outcomes of a PUT and of parts."""
    for name, tried in zip(("_try_put", "_try_part"), tries, strict=True):

        async def outcome(_: Examination, tried: Any = tried) -> integrity._Tried:
            if tried is None:
                raise BucketUnavailable("It is away.")
            return integrity._Tried(*tried)

        monkeypatch.setattr(integrity, name, outcome)
    destination = Destination(name="files", method=method, integrity=wanted)
    nothing: Any = None
    examination = Examination(
        *(destination, nothing, nothing, nothing, nothing, None, 1), findings=Findings("files")
    )
    await integrity.check_integrity(examination)
    return examination


HONEST, ODD_ETAGS = (True, True, []), (True, False, [])
LAX, BLIND = (True, True, ["a part without its MD5"]), (True, False, ["a part without its MD5"])
NOT_STORED = (False, False, ["a PUT without its MD5"])


@pytest.mark.parametrize(
    ("tries", "method", "level", "content_md5", "md5_etags"),
    [
        ((HONEST, HONEST), "post", Level.OK, True, True),
        # What does not work at all says nothing.
        ((NOT_STORED, HONEST), "multipart", Level.OK, True, True),
        ((None, HONEST), "multipart", Level.OK, True, True),
        ((HONEST, ODD_ETAGS), "put", Level.OK, True, False),
        ((HONEST, ODD_ETAGS), "post", Level.WARNING, True, False),
        ((HONEST, LAX), "put", Level.WARNING, False, True),
        ((HONEST, BLIND), "put", Level.FAILURE, False, False),
    ],
)
async def test_what_it_says_of_others(
    monkeypatch: pytest.MonkeyPatch,
    tries: Any,
    method: str,
    level: Level,
    content_md5: bool,
    md5_etags: bool,
) -> None:
    examination = await examined(monkeypatch, *tries, method=method)
    [finding] = examination.findings.entries
    assert (finding.check, finding.level) == ("integrity", level)
    assert bool(finding.remedy) == (level is not Level.OK)
    abilities = examination.abilities
    assert (abilities.content_md5, abilities.md5_etags) == (content_md5, md5_etags)


@pytest.mark.parametrize(
    ("tries", "wanted"),
    [((LAX, LAX), "off"), ((None, None), "md5"), ((NOT_STORED, None), "md5")],
)
async def test_what_was_not_tried_is_not_known(
    monkeypatch: pytest.MonkeyPatch, tries: Any, wanted: str
) -> None:
    examination = await examined(monkeypatch, *tries, wanted=wanted)
    assert examination.findings.entries == []
    assert examination.abilities == Abilities()
