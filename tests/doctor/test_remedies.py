"""The doctor names what is broken, one thing at a time, with its remedy."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from app.doctor.findings import Level
from tests.doctor.steps import FAILS, WARNS, found
from tests.support.buckets import SetUpBucket

Break = Callable[[SetUpBucket], None]


def environment(**changes: str) -> Break:
    return lambda bucket: bucket.environ.update(changes)


def cors(**changes: Any) -> Break:
    def broken(bucket: SetUpBucket) -> None:
        [rule] = bucket.owner.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
        rules = {"CORSRules": [{**rule, **changes}]}
        bucket.owner.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=rules)

    return broken


def lifecycle(**rule: Any) -> Break:
    def broken(bucket: SetUpBucket) -> None:
        found = bucket.owner.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
        rules = [*found, {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]
        bucket.owner.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration={"Rules": rules}
        )

    return broken


def public_policy(bucket: SetUpBucket) -> None:
    """The one that tutorials give."""
    bucket.owner.delete_public_access_block(Bucket=bucket.name)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{bucket.name}/*",
    }
    found = json.loads(bucket.owner.get_bucket_policy(Bucket=bucket.name)["Policy"])
    policy = {**found, "Statement": [*found["Statement"], statement]}
    bucket.owner.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))


def deny(*actions: str) -> Break:
    return lambda bucket: bucket.deny(*actions)


def for_readers(bucket: SetUpBucket) -> None:
    """A second rule, for GET alone."""
    rules = bucket.owner.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
    rules.append({"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]})
    bucket.owner.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": rules})


def late(bucket: SetUpBucket) -> None:
    bucket.ahead = timedelta(minutes=20)


def suspended(bucket: SetUpBucket) -> None:
    status = {"Status": "Suspended"}
    bucket.owner.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=status)


def scanned_but_suspended(bucket: SetUpBucket) -> None:
    suspended(bucket)
    for name, value in {"SCAN": "required", "SCANNER": "api"}.items():
        bucket.environ[f"CLAIMCHECK_DESTINATIONS__FILES__{name}"] = value


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
        lambda bucket: bucket.owner.delete_bucket_cors(Bucket=bucket.name),
        FAILS,
        {"cors": "bucket apply"},
    ),
    ("ceph", cors(AllowedOrigins=["https://other.example.com"]), FAILS, {"cors": "bucket apply"}),
    ("ceph", cors(AllowedMethods=["GET", "POST"]), FAILS, {"cors": "bucket apply"}),
    ("embedded", cors(ExposeHeaders=["Location"]), FAILS, {"cors-etag": "bucket apply"}),
    ("ceph", cors(ExposeHeaders=["ETag", "Location"]), WARNS, {"cors-ranges": "bucket apply"}),
    ("embedded", cors(AllowedOrigins=["*"]), FAILS, {"cors-foreign": "origin is *"}),
    (
        "ceph",
        cors(AllowedOrigins=["http://*", "https://*"]),
        FAILS,
        {"cors-foreign": "origin is *"},
    ),
    ("embedded", for_readers, FAILS, {"cors-foreign": "origin is *"}),
    ("embedded", public_policy, FAILS, {"public-policy": '"Principal": "*"'}),
    (
        "ceph",
        public_policy,
        FAILS,
        {"public-policy": '"Principal": "*"', "anonymous": "bucket apply"},
    ),
    (
        "embedded",
        lambda bucket: bucket.owner.delete_public_access_block(Bucket=bucket.name),
        WARNS,
        {"public-access-block": "bucket apply"},
    ),
    (
        "embedded",
        lambda bucket: bucket.owner.delete_bucket_policy(Bucket=bucket.name),
        WARNS,
        {"bucket-policy": "bucket apply"},
    ),
    (
        "embedded",
        lambda bucket: bucket.owner.delete_bucket_ownership_controls(Bucket=bucket.name),
        WARNS,
        {"object-ownership": "bucket apply"},
    ),
    (
        "embedded",
        lambda bucket: bucket.owner.delete_bucket_lifecycle(Bucket=bucket.name),
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
    ("embedded", scanned_but_suspended, FAILS, {"sealing": "turns versioning on"}),
    ("ceph", deny("s3:PutObject"), FAILS, {"post": "s3:PutObject", "multipart": "s3:PutObject"}),
    (
        "ceph",
        deny("s3:GetObjectVersion"),
        FAILS,
        dict.fromkeys(("confirm", "sealing"), "s3:GetObjectVersion"),
    ),
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
        lambda bucket: bucket.owner.put_public_access_block(
            Bucket=bucket.name,
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
    ("bucket", "broken", "level", "remedies"), BROKEN, ids=name_of, indirect=["bucket"]
)
async def test_what_is_broken_is_named_with_its_remedy(
    bucket: SetUpBucket, broken: Break, level: Level, remedies: Mapping[str, str]
) -> None:
    before = await bucket.examine()
    broken(bucket)
    report = await bucket.examine()
    findings = found(report, level)
    assert set(findings) - set(found(before, level)) == set(remedies)
    for check, remedy in remedies.items():
        assert remedy in findings[check].remedy
        assert findings[check].meaning
    text = json.dumps([finding.meaning + finding.remedy for finding in report.findings])
    assert "hunter2" not in text
    assert bucket.environ["AWS_SECRET_ACCESS_KEY"] not in text
    if "removal" not in remedies:
        assert bucket.left_behind() == []
