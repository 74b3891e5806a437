"""Each launcher gives an S3 server that checks signatures, and leaves nothing behind."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.support.stores import StartFailed, free_port, rclone, rgw, running, wait_for_http

needs_rgw = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))
needs_rclone = pytest.mark.skipif(rclone.available() is not None, reason=str(rclone.available()))

Store = rgw.Rgw | rclone.Rclone

LAUNCHERS = [
    pytest.param(rgw.start_rgw, id="rgw", marks=needs_rgw),
    pytest.param(rclone.start_rclone, id="rclone", marks=needs_rclone),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[rgw.Rgw]:
    with rgw.start_rgw() as gateway:
        yield gateway


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def answers(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((str(address.hostname), int(address.port or 0))) == 0


def refusal(call: Callable[..., Any], **arguments: Any) -> int:
    """The status of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    status: int = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # dead, though nobody may have reaped it


@pytest.mark.parametrize("start", LAUNCHERS)
def test_a_working_store_that_is_gone_afterwards(
    start: Callable[[], AbstractContextManager[Store]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with start() as store:
        s3 = store.client()
        if not s3.list_buckets()["Buckets"]:
            s3.create_bucket(Bucket="claimcheck")
        s3.put_object(Bucket="claimcheck", Key="a/é b.txt", Body=b"bytes")
        assert s3.get_object(Bucket="claimcheck", Key="a/é b.txt")["Body"].read() == b"bytes"

        where = {"Bucket": "claimcheck", "Key": "a/é b.txt"}
        url = s3.generate_presigned_url("get_object", Params=where)
        assert get(url) == (200, b"bytes")
        tampered = url[:-1] + ("0" if url[-1] != "0" else "1")
        assert 400 <= get(tampered)[0] < 500
        assert list(tmp_path.iterdir()), "its scratch directory should be here"
    assert not answers(store.endpoint_url)
    assert list(tmp_path.iterdir()) == []


@needs_rgw
def test_rgw_gives_the_service_user_the_rights_of_the_policy(gateway: rgw.Rgw) -> None:
    owner = gateway.client()
    bucket = {"Bucket": "allowed"}
    owner.create_bucket(**bucket)
    owner.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
    s3 = gateway.client(gateway.create_service_user("service", "allowed", prefix="files/"))
    key = {**bucket, "Key": "files/a"}

    version = {**key, "VersionId": s3.put_object(**key, Body=b"1")["VersionId"]}
    s3.put_object(**key, Body=b"2")
    assert s3.get_object(**key)["Body"].read() == b"2"
    assert s3.get_object(**version)["Body"].read() == b"1"
    assert s3.head_object(**version)["ContentLength"] == 1
    # 404 and not 403 for what is not there: that takes ListBucket.
    assert refusal(s3.head_object, **bucket, Key="files/none") == 404
    assert s3.list_objects_v2(**bucket)["KeyCount"] == 1
    assert len(s3.list_object_versions(**bucket)["Versions"]) == 2
    s3.delete_object(**version)
    assert len(s3.list_object_versions(**bucket)["Versions"]) == 1
    s3.delete_object(**key)

    upload = {**key, "UploadId": s3.create_multipart_upload(**key)["UploadId"]}
    s3.upload_part(**upload, PartNumber=1, Body=b"part")
    assert len(s3.list_parts(**upload)["Parts"]) == 1
    assert len(s3.list_multipart_uploads(**bucket)["Uploads"]) == 1
    s3.abort_multipart_upload(**upload)
    # The bucket's owner sees what the service stored.
    s3.put_object(**key, Body=b"3")
    assert owner.get_object(**key)["Body"].read() == b"3"


@needs_rgw
def test_rgw_refuses_the_service_user_everything_else(gateway: rgw.Rgw) -> None:
    owner = gateway.client()
    bucket = {"Bucket": "refused"}
    owner.create_bucket(**bucket)
    owner.put_object(**bucket, Key="other/a", Body=b"")
    s3 = gateway.client(gateway.create_service_user("narrow", "refused", prefix="files/"))
    key = {**bucket, "Key": "files/a"}
    s3.put_object(**key, Body=b"mine")

    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    outside = {**bucket, "Key": "other/a"}
    attempts: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (s3.put_bucket_cors, {**bucket, "CORSConfiguration": {"CORSRules": [rule]}}),
        (s3.get_bucket_policy, bucket),
        (s3.put_bucket_versioning, {**bucket, "VersioningConfiguration": {"Status": "Enabled"}}),
        (s3.delete_bucket, bucket),
        (s3.create_bucket, {"Bucket": "its-own"}),
        (s3.put_object_acl, {**key, "ACL": "public-read"}),
        (s3.put_object_tagging, {**key, "Tagging": tags}),
        (s3.get_object, outside),
        (s3.put_object, {**outside, "Body": b""}),
        (s3.delete_object, outside),
    ]
    got = {call.__name__: refusal(call, **arguments) for call, arguments in attempts}
    assert got == dict.fromkeys(got, 403)


@needs_rgw
def test_rgw_gives_a_stranger_nothing(gateway: rgw.Rgw) -> None:
    gateway.client().create_bucket(Bucket="private")
    stranger = gateway.client(gateway.create_user("stranger"))
    assert refusal(stranger.list_objects_v2, Bucket="private") == 403
    assert refusal(stranger.put_object, Bucket="private", Key="a", Body=b"") == 403


@needs_rclone
def test_rclone_answers_the_allowed_origin_alone() -> None:
    with rclone.start_rclone("http://page.example") as store:
        request = urllib.request.Request(
            f"{store.endpoint_url}/{store.bucket}/a",
            method="OPTIONS",
            headers={"Origin": "http://foreign.example", "Access-Control-Request-Method": "PUT"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with (
        pytest.raises(StartFailed, match=r"ended with 1\n.*no such option"),
        running(command, tmp_path / "log") as server,
    ):
        wait_for_http(f"http://127.0.0.1:{free_port()}", [server])


def test_a_server_that_stays_silent_is_reported_and_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        pytest.raises(StartFailed, match="does not answer"),
        running(command, tmp_path / "log") as server,
    ):
        wait_for_http(f"http://127.0.0.1:{free_port()}", [server], timeout=0.5)
    assert server.process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stops a dead parent's children")
def test_a_killed_test_run_leaves_no_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import pathlib, sys, time\n"
        "from tests.support.stores import running\n"
        "server = 'import time; print(1, flush=True); time.sleep(600)'\n"
        f"log = pathlib.Path({str(log)!r})\n"
        "with running([sys.executable, '-c', server], log) as server:\n"
        "    while not log.read_text():\n"  # it runs, so setpriv has done its part
        "        time.sleep(0.01)\n"
        "    print(server.process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        assert is_running(pid)
        holder.kill()
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
