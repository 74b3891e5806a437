"""An object that the store does not let the service read is one line of the report, no end of it:
that is for a service that may read nothing.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from app.core.object_url import object_url
from app.store.refusals import refused_object
from tests.support.service import Store, as_set
from tests.support.stores import rgw

COMMAND = (sys.executable, "-m", "app.cli", "adopt", "--owner", "dev")
BUCKET = "refusing"
NAMES = ("1.txt", "denied.txt", "3.txt", "encrypted.txt", "5.txt")


@pytest.fixture(scope="module")
def bucket(gateway: rgw.Rgw) -> rgw.Keys:
    """The service's keys of a bucket with objects that it may not read: a policy denies one (403),
    one is under its sender's key (400).
    """
    s3 = gateway.client()
    s3.create_bucket(Bucket=BUCKET)
    # Keys of customers are taken over HTTPS alone.
    s3.meta.events.register(
        "before-sign.s3.PutObject",
        lambda request, **_: request.headers.add_header("X-Forwarded-Proto", "https"),
    )
    for name in NAMES:
        under = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
        more = under if name == "encrypted.txt" else {}
        key = f"files/{name}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"hello", ContentType="text/plain", **more)
    s3.close()
    service = gateway.create_service_user("adopter-of-some", BUCKET)
    denied = {
        "Effect": "Deny",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": f"arn:aws:s3:::{BUCKET}/files/denied.txt",
    }
    gateway.grant_in_bucket(service, BUCKET, {"Statement": [denied]})
    return service


async def adopted(
    gateway: rgw.Rgw, keys: rgw.Keys, database_url: str, *arguments: str
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit status, what is said of each name, and what is on standard error."""
    common = {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"}
    store = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments, "--apply"),
        env=as_set(common | store.environ(BUCKET)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    lines = [json.loads(line) for line in out.splitlines()]
    return process.returncode, {one["key"].split("/")[1]: one for one in lines}, error.decode()


@pytest.mark.parametrize("look", [(), ("--look",)])
async def test_an_object_that_is_refused_leaves_the_others_to_be_adopted(
    gateway: rgw.Rgw, bucket: rgw.Keys, database_url: str, look: tuple[str, ...]
) -> None:
    arguments = ("--prefix", "files/", *look)
    status, said, error = await adopted(gateway, bucket, database_url, *arguments)
    codes = ("AccessDenied", "InvalidRequest") if look else ("403", "400")
    refused = dict(zip(("denied.txt", "encrypted.txt"), codes, strict=True))
    assert {name: one["outcome"] for name, one in said.items()} == {
        name: "refused" if name in refused else "adopted" for name in NAMES
    }, error
    assert status == 2
    for name, code in refused.items():
        assert said[name]["reason"].startswith(f"The store refused it ({code}). Its bucket is open")
    # Called again, it comes as far.
    status, said, _ = await adopted(gateway, bucket, database_url, *arguments)
    assert (status, {one["outcome"] for one in said.values()}) == (2, {"refused", "known"})


async def test_a_service_that_may_read_nothing_ends_the_run(
    gateway: rgw.Rgw, bucket: rgw.Keys, database_url: str, tmp_path: Path
) -> None:
    listing = tmp_path / "objects.ndjson"
    urls = [object_url(gateway.endpoint_url, BUCKET, f"files/{name}") for name in NAMES]
    listing.write_text("".join(json.dumps({"url": url}) + "\n" for url in urls))
    nobody = gateway.create_user("adopter-of-none")
    for keys in (nobody, rgw.Keys("", "NOBODYSKEY0000000001", "hunter2-and-more")):
        status, said, error = await adopted(gateway, keys, database_url, "--list", str(listing))
        assert (status, said) == (1, {}), error
        assert "refused the service's own request" in error


def refused(status: int, code: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject"
    )


@pytest.mark.parametrize(
    ("status", "code", "may"),
    [
        *((403, "403", True), (403, "AccessDenied", True), (400, "400", True)),
        *((400, "KMS.DisabledException", True), (400, "InvalidRequest", True)),
        *((403, "InvalidAccessKeyId", False), (403, "SignatureDoesNotMatch", False)),
        *((403, "RequestTimeTooSkewed", False), (400, "AuthorizationHeaderMalformed", False)),
        *((400, "RequestTimeout", False), (400, "KMS.ThrottlingException", False)),
        *((404, "NoSuchBucket", False), (503, "SlowDown", False)),
    ],
)
def test_refusals_for_the_object_are_told_from_others(status: int, code: str, may: bool) -> None:
    assert refused_object(refused(status, code)) == (code if may else None)
    assert refused_object(OSError(code)) is None
