"""The service's words about itself, and that the bytes never pass through it."""

import asyncio
import re
import secrets
from io import BytesIO
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.core.destination import Destination
from app.embedded.postgres import create_database
from app.routers import service
from app.settings.model import Settings, load_settings
from app.store.client import Buckets
from tests.support.service import assert_limited, log_lines, logged, prepared, running, served
from tests.support.steps import announced
from tests.support.unhurried import SERVED

DOWN = {
    "DATABASE_URL": "postgres://user:hunter2@127.0.0.1:1/name",
    "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1",
}


async def test_livez_asks_nobody(environ: dict[str, str]) -> None:
    async with running(load_settings(environ | DOWN)) as client:
        response = await client.get("/livez")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def every(words: str) -> dict[str, str]:
    """These words of each destination."""
    return dict.fromkeys(("files", "images", "videos"), words)


async def test_readyz_asks_database_and_buckets(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    ready = response.json()
    assert ready["database"] == "ok"
    assert ready["buckets"] == every("ok")


async def test_readyz_names_what_is_not_ready(environ: dict[str, str]) -> None:
    bucket = environ["AWS_STORAGE_BUCKET_NAME"]
    missing = f"{bucket}-missing"
    await prepared(environ)
    for change, database, buckets in (
        ({"DATABASE_URL": DOWN["DATABASE_URL"]}, "did not answer", every("ok")),
        ({"AWS_S3_ENDPOINT_URL": DOWN["AWS_S3_ENDPOINT_URL"]}, "ok", every("did not answer")),
        ({"AWS_STORAGE_BUCKET_NAME": missing}, "ok", every("is not at the configured")),
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "ok", every("because the secret key is wrong")),
        (DOWN, "did not answer", every("did not answer")),
        (
            {
                "CLAIMCHECK_DESTINATIONS__ONE__BUCKET": bucket,
                "CLAIMCHECK_DESTINATIONS__TWO__BUCKET": missing,
            },
            "ok",
            {"one": "ok", "two": "is not at the configured"},
        ),
    ):
        async with running(load_settings(environ | change)) as client:
            response = await client.get("/readyz")
            assert response.status_code == 503, change
            assert response.headers["Retry-After"] == "5"
            ready = response.json()
            assert database in ready["database"]
            assert ready["buckets"].keys() == buckets.keys()
            for name, words in buckets.items():
                assert words in ready["buckets"][name]
            # Anybody may ask.
            assert bucket not in response.text
            assert "s3:" not in response.text
            assert "hunter2" not in response.text
            # Not being ready is no reason to be restarted.
            assert (await client.get("/livez")).status_code == 200


async def test_strangers_cannot_have_readyz_ask_without_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, is_asked, may_answer, real = 0, asyncio.Event(), asyncio.Event(), Buckets.check

    async def counted(buckets: Buckets, destination: Destination) -> None:
        nonlocal asked
        asked += 1
        is_asked.set()
        await may_answer.wait()
        await real(buckets, destination)

    monkeypatch.setattr(Buckets, "check", counted)
    monkeypatch.setattr(service, "READY_REMEMBERED", 600)
    async with running(settings) as client:
        hasty, *many = [asyncio.create_task(client.get("/readyz")) for _ in range(50)]
        await is_asked.wait()
        # A caller who goes away takes nobody's answer along.
        hasty.cancel()
        may_answer.set()
        answers = [*await asyncio.gather(*many), await client.get("/readyz")]
        assert {answer.status_code for answer in answers} == {200}
        assert asked == 1
    monkeypatch.setattr(service, "READY_REMEMBERED", 0)
    async with running(settings) as client:
        for _ in range(3):
            assert (await client.get("/readyz")).status_code == 200
    assert asked == 4


async def test_readyz_does_not_wait_for_ever(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SERVED["app.routers.service.READY_SECONDS"] <= 5

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        slow = {"AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        async with running(load_settings(environ | slow)) as client:
            # So that the database has a connection open, and answers in time.
            assert (await client.get("/v1/files")).status_code == 200
            monkeypatch.setattr(service, "READY_SECONDS", 1)
            response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "ok"
    assert response.json()["buckets"] == every("no answer within 1 s")


async def test_destinations_tell_a_front_end_what_to_check(environ: dict[str, str]) -> None:
    environ = environ | {
        "CLAIMCHECK_DESTINATIONS__PHOTOS__CONTENT_TYPES": "image/*",
        "CLAIMCHECK_DESTINATIONS__PHOTOS__EXTENSIONS": "png,JPG",
        "CLAIMCHECK_DESTINATIONS__PHOTOS__MIN_SIZE": "10",
        "CLAIMCHECK_DESTINATIONS__PHOTOS__MAX_SIZE": "1000",
        "CLAIMCHECK_DESTINATIONS__DOCS__METHOD": "put",
        "CLAIMCHECK_DESTINATIONS__PHOTOS__MAX_PIXELS": "9000",
        "CLAIMCHECK_DESTINATIONS__PHOTOS__INTEGRITY": "md5",
        "CLAIMCHECK_DESTINATIONS__DOCS__KMS_KEY_ID": "a-key",
        "CLAIMCHECK_DESTINATIONS__DOCS__SERVER_SIDE_ENCRYPTION": "aws:kms",
    }
    async with running(load_settings(environ)) as client:
        response = await client.get("/v1/destinations")
    found = {item.pop("name"): item for item in response.json()["items"]}
    assert found == {
        "photos": {
            "method": "post",
            "integrity": "md5",
            "content_types": ["image/*"],
            "extensions": ["png", "jpg"],
            "min_size": 10,
            "max_size": 1000,
            "max_pixels": 9000,
        },
        "docs": {
            "method": "put",
            "integrity": "off",
            "content_types": [],
            "extensions": [],
            "min_size": 0,
            "max_size": 5 * 1024**3,
            "max_pixels": None,
        },
    }


def resident_kib(pid: int) -> int:
    """The process's resident memory (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_50_mb_leave_no_trace_in_the_service(
    environ: dict[str, str], web: httpx.AsyncClient, tmp_path: Path
) -> None:
    environ = environ | {
        "CLAIMCHECK_DESTINATIONS__POSTED__METHOD": "post",
        "CLAIMCHECK_DESTINATIONS__PUT__METHOD": "put",
    }
    await prepared(environ)
    log = tmp_path / "log"

    async def upload(client: httpx.AsyncClient, destination: str, data: bytes) -> None:
        """From announcement to reading it back."""
        made = await announced(client, data, "film.bin", destination=destination)
        to, url = made["upload"], made["upload"]["url"]
        if destination == "put":
            response = await web.put(url, headers=to["headers"], content=data)
        else:
            file = {"file": ("film.bin", BytesIO(data))}
            response = await web.post(url, data=to["fields"], files=file)
        assert response.is_success, response.text
        file = (await client.post(f"/v1/uploads/{made['id']}/confirm")).json()
        assert file["size"] == len(data)
        async with web.stream("GET", file["presigned_url"]) as read:
            assert sum([len(chunk) async for chunk in read.aiter_bytes()]) == len(data)

    async with served(environ, log) as served_here:
        for destination in ("put", "posted"):  # opens every connection that it will keep
            await upload(served_here.client, destination, b"warm")
        before = resident_kib(served_here.process.pid)
        for destination in ("put", "posted"):
            await upload(served_here.client, destination, secrets.token_bytes(50 * 1000**2))
        grown = resident_kib(served_here.process.pid) - before
        await served_here.stop()
    assert grown < 5 * 1024

    requests = [line for line in logged(log) if line.get("route", "").startswith("/v1/")]
    assert len(requests) == 8
    for line in requests:
        assert max(line["bytes_in"], line["bytes_out"]) < 64 * 1024, line
    assert "X-Amz" not in log.read_text()


async def test_10_mb_are_refused_in_words_by_the_real_server(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async def chunks() -> object:
        for _ in range(160):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    async with served(environ, tmp_path / "log") as served_here:
        for body in (b" " * 10 * 1024**2, chunks()):
            response = await served_here.client.post("/v1/uploads", content=body, headers=headers)
            assert response.status_code == 413
            assert response.json()["type"] == "urn:claimcheck:problem:request-too-large"
        await served_here.stop()
    read = [line["bytes_in"] for line in logged(tmp_path / "log") if line.get("status") == 413]
    assert len(read) == 2
    assert read[0] == 0
    # The limit, and what the event loop had taken from the socket in one reading: 256 KiB.
    assert read[1] <= 64 * 1024 + 256 * 1024


async def test_sigterm_ends_it_cleanly(environ: dict[str, str], tmp_path: Path) -> None:
    async with served(environ, tmp_path / "log") as served_here:
        assert (await served_here.client.get("/readyz")).status_code in {200, 503}
        await assert_limited(str(served_here.client.base_url))
        served_here.process.terminate()
        async with asyncio.timeout(60):
            assert await served_here.process.wait() in {0, -15}
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_readyz_knows_a_database_without_tables(
    environ: dict[str, str], postgres_url: str
) -> None:
    empty = create_database(postgres_url, f"empty_{secrets.token_hex(4)}")
    await prepared(environ)
    async with running(load_settings(environ | {"DATABASE_URL": empty})) as client:
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert "claimcheck migrate" in response.json()["database"]


@pytest.mark.parametrize(("revision", "status"), [("0000", 503), (None, 503), ("9999", 200)])
async def test_readyz_knows_tables_that_are_too_old(
    environ: dict[str, str], postgres_url: str, revision: str | None, status: int
) -> None:
    """Not those that are newer: while a release migrates, the version before it serves."""
    other = create_database(postgres_url, f"other_{secrets.token_hex(4)}")
    connection = await asyncpg.connect(other)
    await connection.execute("CREATE TABLE alembic_version (version_num text)")
    if revision:
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
    await connection.close()
    await prepared(environ)
    async with running(load_settings(environ | {"DATABASE_URL": other})) as client:
        response = await client.get("/readyz")
    assert response.status_code == status
    assert ("claimcheck migrate" in response.json()["database"]) is (status == 503)


async def test_the_log_says_why_it_is_not_ready(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(load_settings(environ | DOWN)) as client:
        assert (await client.get("/readyz")).status_code == 503
    lines = log_lines(caplog, "readiness")
    reasons = {line["part"]: line["reason"] for line in lines if line["event"] == "not_ready"}
    assert "Connect call failed" in reasons["database"]
    assert "Could not connect" in reasons[environ["AWS_STORAGE_BUCKET_NAME"]]


async def test_the_log_says_what_the_client_is_not_told(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(environ)
    async with running(load_settings(environ | {"AWS_SECRET_ACCESS_KEY": "another"})) as client:
        upload = await announced(client, b"hello")
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert response.status_code == 502
    [line] = log_lines(caplog, "errors")
    assert response.json()["request_id"] == line["request_id"]
    assert line["cause"] == "ClientError"
    assert "SignatureDoesNotMatch" in line["detail"]
