"""The doctor: all is well on buckets that were set up; what is broken is named with its remedy."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from botocore.credentials import ReadOnlyCredentials

from app.core.bucket_setup import StoreKind
from app.core.destination import Destination
from app.core.iam import service_policy
from app.doctor.advice import advise
from app.doctor.examination import Examination, tidy_up
from app.doctor.examine import examine
from app.doctor.findings import Abilities, Finding, Level, Report
from app.doctor.report_cache import ReportCache
from app.doctor.service import check_credentials, check_database
from app.embedded.postgres import create_database
from app.errors import ExaminationUnderWay
from app.settings import load_settings
from app.signer import Presigned, Signer, utc_now
from tests.support.buckets import ONE, ORIGIN, Ward, ceph_ward, embedded_ward
from tests.support.command import claimcheck
from tests.support.service import Store, running
from tests.support.stores import rclone


@pytest.fixture
async def ward(request: pytest.FixtureRequest, database_url: str) -> Ward:
    """On the store that the parameter names."""
    if request.param == "embedded":
        return await embedded_ward(request.getfixturevalue("gate"), database_url)
    return await ceph_ward(request.getfixturevalue("gateway"), database_url)


def found(report: Report, level: Level) -> dict[str, Finding]:
    return {finding.check: finding for finding in report.findings if finding.level is level}


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_the_embedded_store_is_well(ward: Ward) -> None:
    report = await ward.examine()
    assert found(report, Level.FAILURE) == {}
    assert set(found(report, Level.WARNING)) == {"signature-age"}
    abilities = report.destinations["files"].abilities
    assert abilities.forms
    assert abilities.versions
    assert abilities.multipart
    assert abilities.checksums
    assert report.destinations["files"].settings == {}
    assert ward.left_behind() == []


@pytest.mark.parametrize("ward", ["ceph"], indirect=True)
@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("set_well", [True, False])
async def test_ceph_is_well_with_the_least_rights(ward: Ward, method: str, set_well: bool) -> None:
    ward.environ["CLAIMCHECK_DESTINATIONS__FILES__METHOD"] = method
    lacks = {"object-ownership", "default-encryption", "checksums", "signature-age"}
    if method == "put":
        # It obeys headers that nobody signed: the advice is to send forms.
        lacks |= {"advice"}
    if set_well:
        ward.environ["CLAIMCHECK_DESTINATIONS__FILES__UNSIZED_PARTS"] = "false"
    else:
        # Copies, which the policy of `bucket apply` stops, but for those of parts.
        lacks |= {"bucket-policy", "part-copies"} | ({"put-headers"} if method == "put" else set())
        policy = json.loads(ward.owner.get_bucket_policy(Bucket=ward.bucket)["Policy"])
        kept = [each for each in policy["Statement"] if each.get("Sid") != "ClaimcheckCopies"]
        assert len(kept) == len(policy["Statement"]) - 1
        policy["Statement"] = kept
        ward.owner.put_bucket_policy(Bucket=ward.bucket, Policy=json.dumps(policy))
    report = await ward.examine()
    assert found(report, Level.FAILURE) == {}
    warnings = found(report, Level.WARNING)
    assert set(warnings) == lacks
    assert all(warning.meaning and warning.remedy for warning in warnings.values())
    advice = report.destinations["files"]
    assert advice.store == "Ceph RGW"
    better = {"CLAIMCHECK_DESTINATIONS__FILES__METHOD": "post"}
    assert advice.settings == (better if method == "put" else {})
    assert ward.left_behind() == []


Break = Callable[[Ward], None]


def environment(**changes: str) -> Break:
    return lambda ward: ward.environ.update(changes)


def cors(**changes: Any) -> Break:
    def broken(ward: Ward) -> None:
        [rule] = ward.owner.get_bucket_cors(Bucket=ward.bucket)["CORSRules"]
        rules = {"CORSRules": [{**rule, **changes}]}
        ward.owner.put_bucket_cors(Bucket=ward.bucket, CORSConfiguration=rules)

    return broken


def lifecycle(**rule: Any) -> Break:
    def broken(ward: Ward) -> None:
        found = ward.owner.get_bucket_lifecycle_configuration(Bucket=ward.bucket)["Rules"]
        rules = [*found, {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]
        ward.owner.put_bucket_lifecycle_configuration(
            Bucket=ward.bucket, LifecycleConfiguration={"Rules": rules}
        )

    return broken


def public_policy(ward: Ward) -> None:
    """The one that tutorials give."""
    ward.owner.delete_public_access_block(Bucket=ward.bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{ward.bucket}/*",
    }
    found = json.loads(ward.owner.get_bucket_policy(Bucket=ward.bucket)["Policy"])
    policy = {**found, "Statement": [*found["Statement"], statement]}
    ward.owner.put_bucket_policy(Bucket=ward.bucket, Policy=json.dumps(policy))


def deny(*actions: str) -> Break:
    return lambda ward: ward.deny(*actions)


def late(ward: Ward) -> None:
    ward.ahead = timedelta(minutes=20)


def suspended(ward: Ward) -> None:
    status = {"Status": "Suspended"}
    ward.owner.put_bucket_versioning(Bucket=ward.bucket, VersioningConfiguration=status)


FAILS, WARNS = Level.FAILURE, Level.WARNING
BROKEN: list[tuple[str, Break, Level, dict[str, str]]] = [
    ("embedded", environment(AWS_S3_REGION_NAME="eu-west-1"), FAILS, {"region": "=us-east-1"}),
    (
        "embedded",
        environment(AWS_ACCESS_KEY_ID="TESTACCESSKEY0000002"),
        FAILS,
        {"bucket": "AWS_ACCESS_KEY_ID"},
    ),
    (
        "ceph",
        environment(AWS_SECRET_ACCESS_KEY="x" * 40),
        FAILS,
        {"bucket": "AWS_SECRET_ACCESS_KEY"},
    ),
    (
        "embedded",
        environment(AWS_STORAGE_BUCKET_NAME="nowhere"),
        FAILS,
        {"bucket": "AWS_STORAGE_BUCKET_NAME"},
    ),
    (
        "embedded",
        environment(AWS_S3_ENDPOINT_URL="http://127.0.0.1:1"),
        FAILS,
        {"endpoint": "AWS_S3_ENDPOINT_URL"},
    ),
    (
        "embedded",
        environment(AWS_S3_PUBLIC_ENDPOINT_URL="http://127.0.0.1:1"),
        FAILS,
        {"public-endpoint": "AWS_S3_PUBLIC_ENDPOINT_URL"},
    ),
    ("embedded", late, FAILS, {"clock": "NTP"}),
    (
        "embedded",
        lambda ward: ward.owner.delete_bucket_cors(Bucket=ward.bucket),
        FAILS,
        {"cors": "bucket apply"},
    ),
    ("ceph", cors(AllowedOrigins=["https://other.example.com"]), FAILS, {"cors": "bucket apply"}),
    ("ceph", cors(AllowedMethods=["GET", "POST"]), FAILS, {"cors": "bucket apply"}),
    ("embedded", cors(ExposeHeaders=["Location"]), FAILS, {"cors-etag": "bucket apply"}),
    ("embedded", cors(AllowedOrigins=["*"]), WARNS, {"cors-foreign": "origin *"}),
    ("embedded", public_policy, FAILS, {"public-policy": '"Principal": "*"'}),
    (
        "ceph",
        public_policy,
        FAILS,
        {"public-policy": '"Principal": "*"', "anonymous": "bucket apply"},
    ),
    (
        "embedded",
        lambda ward: ward.owner.delete_public_access_block(Bucket=ward.bucket),
        WARNS,
        {"public-access-block": "bucket apply"},
    ),
    (
        "embedded",
        lambda ward: ward.owner.delete_bucket_policy(Bucket=ward.bucket),
        WARNS,
        {"bucket-policy": "bucket apply"},
    ),
    (
        "embedded",
        lambda ward: ward.owner.delete_bucket_ownership_controls(Bucket=ward.bucket),
        WARNS,
        {"object-ownership": "bucket apply"},
    ),
    (
        "embedded",
        lambda ward: ward.owner.delete_bucket_lifecycle(Bucket=ward.bucket),
        WARNS,
        {"lifecycle": "bucket apply"},
    ),
    (
        "embedded",
        lifecycle(NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        FAILS,
        {"lifecycle-versions": "other prefixes"},
    ),
    ("ceph", lifecycle(Expiration={"Days": 1}), WARNS, {"lifecycle-expiry": "other prefixes"}),
    (
        "embedded",
        lifecycle(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3}),
        FAILS,
        {"lifecycle": "12 days"},
    ),
    ("ceph", suspended, WARNS, {"sealing": "turns versioning on"}),
    ("ceph", deny("s3:PutObject"), FAILS, {"post": "s3:PutObject", "multipart": "s3:PutObject"}),
    ("ceph", deny("s3:GetObjectVersion"), FAILS, {"sealing": "s3:GetObjectVersion"}),
    ("ceph", deny("s3:DeleteObjectVersion"), FAILS, {"removal": "s3:DeleteObjectVersion"}),
    ("ceph", deny("s3:ListBucketVersions"), FAILS, {"removal": "s3:ListBucketVersions"}),
    ("ceph", deny("s3:ListBucket"), FAILS, {"bucket": "s3:ListBucket"}),
    ("ceph", deny("s3:GetObject"), FAILS, {"confirm": "s3:GetObject", "links": "s3:GetObject"}),
    (
        "ceph",
        deny("s3:AbortMultipartUpload"),
        FAILS,
        {"multipart": "s3:AbortMultipartUpload", "removal": "s3:AbortMultipartUpload"},
    ),
    (
        "ceph",
        deny("s3:ListMultipartUploadParts"),
        FAILS,
        {"multipart": "s3:ListMultipartUploadParts"},
    ),
    ("ceph", deny("s3:GetLifecycleConfiguration"), WARNS, {"lifecycle": "bucket iam"}),
    (
        "ceph",
        lambda ward: ward.owner.put_public_access_block(
            Bucket=ward.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        ),
        WARNS,
        {"public-access-block": "Switch it off"},
    ),
    (
        "embedded",
        environment(DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/d"),
        FAILS,
        {"database": "DATABASE_URL"},
    ),
    ("embedded", environment(DATABASE_URL=""), FAILS, {"settings": "DATABASE_URL is not set"}),
    ("embedded", environment(CLAIMCHECK_AUTH=""), FAILS, {"settings": "CLAIMCHECK_AUTH"}),
    (
        "embedded",
        environment(AWS_QUERYSTRING_AUTH="true", AWS_MAX_ATTEMPTS="3"),
        WARNS,
        {"stray-settings": "Take it out"},
    ),
    (
        "embedded",
        environment(AWS_REGION="eu-west-1", AWS_S3_REGION_NAME="us-east-1"),
        WARNS,
        {"doubled-settings": "Keep the one"},
    ),
    ("embedded", environment(CLAIMCHECK_CORS_ORIGINS="", CLAIMCHECK_AUTH=""), WARNS, {"cors": ""}),
]


def name_of(case: Any) -> str | None:
    return "+".join(case) if isinstance(case, dict) else case if isinstance(case, str) else ""


@pytest.mark.parametrize(
    ("ward", "broken", "level", "remedies"), BROKEN, ids=name_of, indirect=["ward"]
)
async def test_what_is_broken_is_named_with_its_remedy(
    ward: Ward, broken: Break, level: Level, remedies: Mapping[str, str]
) -> None:
    before = await ward.examine()
    broken(ward)
    report = await ward.examine()
    findings = found(report, level)
    assert set(findings) - set(found(before, level)) == set(remedies)
    for check, remedy in remedies.items():
        assert remedy in findings[check].remedy
        assert findings[check].meaning
    text = json.dumps([finding.meaning + finding.remedy for finding in report.findings])
    assert "hunter2" not in text
    assert ward.environ["AWS_SECRET_ACCESS_KEY"] not in text
    if "removal" not in remedies:
        assert ward.left_behind() == []


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_tables_that_are_missing_or_old(ward: Ward, postgres_url: str) -> None:
    ward.environ["DATABASE_URL"] = create_database(postgres_url, f"d_{secrets.token_hex(6)}")
    empty = found(await ward.examine(), FAILS)
    assert "no tables yet" in empty["migrations"].meaning
    connection = await asyncpg.connect(ward.environ["DATABASE_URL"])
    await connection.execute("CREATE TABLE alembic_version (version_num text)")
    await connection.execute("INSERT INTO alembic_version VALUES ('0000')")
    await connection.close()
    old = found(await ward.examine(), FAILS)
    assert set(old) == {"migrations"}
    assert old["migrations"].meaning.startswith("The tables are those of 0000; ")
    assert old["migrations"].remedy == "Run `claimcheck migrate`."


async def test_connections_are_counted(postgres_url: str) -> None:
    name = f"d_{secrets.token_hex(6)}"
    url = create_database(postgres_url, name)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE alembic_version (version_num text)")

    async def counted(limit: int, processes: str = "", **environ: str) -> Finding | None:
        await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {limit}")
        given = {"DATABASE_URL": url, "WEB_CONCURRENCY": processes}
        findings = await check_database(load_settings(given | environ))
        return next((f for f in findings.made if f.check == "connections"), None)

    # A web process, a worker, and two by hand: 5 + 5 + 2.
    for limit, processes, level, words in (
        (11, "", Level.WARNING, "no room"),
        (12, "1", Level.OK, "1 web beside"),
        (20, "2", Level.OK, "1 web beside"),
        (-1, "2", Level.OK, "web beside"),
        (20, "3", Level.WARNING, "holds up to 15"),
    ):
        finding = await counted(limit, processes)
        assert finding is not None
        assert finding.level is level
        assert words in finding.meaning
    assert "PgBouncer" in finding.remedy
    assert await counted(11, CLAIMCHECK_DATABASE_TRANSACTION_POOLING="true") is None
    await connection.close()


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
        assert set(failures) == {"cors"}
        assert "x-amz-meta-claimcheck-id" in failures["cors"].meaning
        assert {"sealing", "checksums", "lifecycle", "public-access-block"} <= set(warnings)
        claimed = by_put | {"CLAIMCHECK_DESTINATIONS__FILES__CONDITIONAL_WRITES": "true"}
        failures = found(await examine(load_settings(claimed), claimed), FAILS)
        assert "conditional_writes = false" in failures["sealing"].remedy

        environ |= advice.settings
        report = await examine(load_settings(environ), environ)
        assert found(report, FAILS) == {}
        warnings = found(report, WARNS)
        assert "sealing" not in warnings
        assert "origin *" in warnings["cors-foreign"].remedy
        assert report.destinations["files"].settings == {}
        assert not server.client().list_objects_v2(Bucket=server.bucket).get("Contents")


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_age_is_tried_beyond_what_any_destination_of_the_bucket_needs(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy allows what the longest link needs, which need not be of this destination."""
    hours = 50 * 3600
    settings = {"files": {}, "images": {"link_expires_in": hours}}
    ward.environ["CLAIMCHECK_DESTINATIONS"] = json.dumps(settings)
    ages: list[int] = []

    class Spy(Signer):
        async def presign(self, *args: Any, expires_in: int, **more: Any) -> Presigned:
            ages.append(expires_in)
            return await super().presign(*args, expires_in=expires_in, **more)

    monkeypatch.setattr("app.doctor.objects.Signer", Spy)
    await ward.examine()
    assert len(ages) == 2
    assert min(ages) > hours


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_without_keys(ward: Ward, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in the settings nor anywhere else where AWS libraries look."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del ward.environ[name]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    failures = found(await ward.examine(), FAILS)
    assert set(failures) == {"credentials"}
    assert "AWS_ACCESS_KEY_ID" in failures["credentials"].remedy


class Lent:
    """A session with temporary keys, as a role has them."""

    def __init__(self, life: timedelta) -> None:
        self._expiry_time = utc_now() + life

    async def get_credentials(self) -> "Lent":
        return self

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials("AKIA", "secret", "token")


@pytest.mark.parametrize(("minutes", "level"), [(40, Level.OK), (3, WARNS), (-1, FAILS)])
async def test_the_life_that_is_left_to_temporary_keys(minutes: int, level: Level) -> None:
    # Half a minute more, for the test itself.
    signer = Signer(Lent(timedelta(minutes=minutes, seconds=30)))
    [finding] = (await check_credentials(signer, utc_now())).made
    assert (finding.check, finding.level) == ("credentials", level)
    if level is not FAILS:
        assert f"{minutes} minutes are left" in finding.meaning


WORKS = {"forms": True, "puts": True, "multipart": True}
NO_FORMS = WORKS | {"forms": False}
CLAIM, METHOD = (f"CLAIMCHECK_DESTINATIONS__FILES__{n}" for n in ("CONDITIONAL_WRITES", "METHOD"))


@pytest.mark.parametrize(
    ("destination", "abilities", "has_versions", "settings"),
    [
        ({}, WORKS | {"versions": True}, True, {}),
        # Versioning is off, and `bucket apply` turns it on: that seals better.
        ({}, WORKS | {"versions": False}, True, {}),
        ({}, WORKS | {"versions": False}, False, {METHOD: "multipart"}),
        ({}, NO_FORMS | {"versions": True}, True, {METHOD: "put"}),
        ({}, NO_FORMS, False, {METHOD: "multipart"}),
        ({}, NO_FORMS | {"multipart": False}, False, {METHOD: "put"}),
        # A lack of rights says nothing about the store.
        ({}, {"forms": None, "puts": None, "multipart": False}, True, {}),
        ({"method": "put"}, WORKS | {"signed_headers_only": False}, True, {METHOD: "post"}),
        ({"method": "put"}, NO_FORMS | {"signed_headers_only": False}, True, {}),
        (
            {"method": "put"},
            WORKS | {"versions": False, "conditional_writes": True},
            False,
            {CLAIM: "true"},
        ),
        (
            {"method": "put", "conditional_writes": True},
            WORKS | {"versions": True, "conditional_writes": False},
            True,
            {CLAIM: "false"},
        ),
        ({"method": "multipart"}, WORKS, False, {}),
    ],
)
def test_advice(
    destination: dict[str, Any],
    abilities: dict[str, bool],
    has_versions: bool,
    settings: dict[str, str],
) -> None:
    advice = advise(
        Destination(name="files", bucket="bkt", **destination),
        StoreKind.OTHER,
        Abilities(**abilities),
        has_versions=has_versions,
    )
    assert advice.settings == settings


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_the_command(ward: Ward) -> None:
    done = claimcheck("doctor", **ward.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ sealing files" in done.stdout
    assert "! signature-age files" in done.stdout
    assert "0 failure" in done.stdout

    ward.owner.delete_bucket_cors(Bucket=ward.bucket)
    done = claimcheck("doctor", **ward.environ)
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ cors files" in done.stdout
    assert "→ Run `claimcheck bucket apply`." in done.stdout

    done = claimcheck("doctor", "--json", **ward.environ)
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


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_capabilities(ward: Ward) -> None:
    async with running(load_settings(ward.environ)) as client:
        first = await client.get("/v1/capabilities")
        assert first.status_code == 200, first.text
        body = first.json()
        assert body["level"] == "warning"
        assert body["destinations"]["files"]["abilities"]["versions"] is True
        assert {f["check"] for f in body["findings"]} >= {"cors", "sealing", "migrations"}
        # The same report for ten minutes, whatever happens meanwhile.
        ward.owner.delete_bucket_cors(Bucket=ward.bucket)
        assert (await client.get("/v1/capabilities")).json() == body
    assert ward.left_behind() == []


@pytest.mark.parametrize("ward", ["embedded"], indirect=True)
async def test_an_examination_that_is_cut_short_tidies_up_everywhere(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One destination is done with it sooner than the other."""
    ward.environ["CLAIMCHECK_DESTINATIONS"] = json.dumps({"files": {}, "images": {}})
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
    examination = asyncio.create_task(ward.examine())
    for _ in range(2):
        await asyncio.wait_for(under_way.acquire(), 120)
    examination.cancel()
    await asyncio.wait({examination})
    assert sorted(tidied) == ["files", "images"]
    assert ward.left_behind() == []


class Slow:
    """An examination that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.ended = 0, 0
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> Report:
        self.begun += 1
        self.has_begun.set()
        try:
            await self.may_end.wait()
        finally:
            self.ended += 1
        return Report(())


async def test_one_examination_for_all_who_ask() -> None:
    now, slow = [utc_now()], Slow()
    cache = ReportCache(slow, lambda: now[0])
    asked = [asyncio.create_task(cache.get()) for _ in range(5)]
    await slow.has_begun.wait()
    slow.may_end.set()
    answers = await asyncio.gather(*asked)
    assert answers == [(Report(()), now[0])] * 5
    assert slow.begun == 1
    now[0] += timedelta(minutes=9, seconds=59)
    assert await cache.get() == answers[0]
    now[0] += timedelta(seconds=1)
    assert (await cache.get())[1] == now[0]
    assert slow.begun == 2
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
    assert slow.begun == 1
    await cache.close()
    assert slow.ended == 1


async def test_an_examination_that_fails_is_not_remembered() -> None:
    async def broken() -> Report:
        raise OSError("the store went away")

    cache = ReportCache(broken, utc_now)
    for _ in range(2):
        with pytest.raises(OSError, match="went away"):
            await cache.get()
