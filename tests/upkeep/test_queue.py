"""The worker reads what AWS tells in SQS, in every shape it comes in."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings
from app.upkeep import queue as upkeep_queue
from app.upkeep.queue import read_queue
from tests.support.service import log_lines, prepared
from tests.support.steps import announced, send


@pytest.fixture(scope="module")
def sqs() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "sqs",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    yield client
    client.close()
    server.stop()


@pytest.fixture
def queue(sqs: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    url = sqs.create_queue(QueueName="arrivals", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
async def settings(environ: dict[str, str], queue: str) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_BUCKET_EVENTS_QUEUE": queue})


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


def records(bucket: str, key: str, name: str = "ObjectCreated:Put") -> str:
    s3 = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"Records": [{"eventName": name, "s3": s3}]})


def by_sns(bucket: str, key: str) -> str:
    return json.dumps({"Type": "Notification", "Message": records(bucket, key)})


def by_eventbridge(bucket: str, key: str) -> str:
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": detail})


def left(sqs: Any, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    said = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(said[name]) for name in names)


async def read_until(res: Resources, queue: str, done: Any) -> None:
    """Read the queue until `done` gives true, two minutes at most."""
    stopping = asyncio.Event()
    reading = asyncio.create_task(read_queue(res, queue, stopping))
    try:
        for _ in range(2400):
            if await done():
                return
            await asyncio.sleep(0.05)
        pytest.fail("it was not done")
    finally:
        stopping.set()
        await reading


async def test_uploads_confirm_themselves_in_each_shape(
    res: Resources,
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    sqs: Any,
    queue: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    bucket = settings.destinations["files"].bucket
    sqs.send_message(QueueUrl=queue, MessageBody='{"Event": "s3:TestEvent"}')
    for shape in (records, by_sns, by_eventbridge):
        upload = await announced(client, b"hello", "a.txt")
        assert (await send(web, upload["upload"], b"hello")).is_success
        # Deleted before it was created, twice, and of what nobody knows.
        sqs.send_message(
            QueueUrl=queue, MessageBody=records(bucket, upload["key"], "ObjectRemoved:Delete")
        )
        for key in (upload["key"], upload["key"], "files/unknown"):
            sqs.send_message(QueueUrl=queue, MessageBody=shape(bucket, key))
    never = await announced(client, b"hello", "b.txt")
    sqs.send_message(QueueUrl=queue, MessageBody=records(bucket, never["key"]))

    async def confirmed() -> bool:
        count = "SELECT count(*) FROM files WHERE state = 'confirmed' AND self_confirmed"
        return await db.fetchval(count) == 3 and left(sqs, queue) == 0

    await read_until(res, queue, confirmed)
    lines = [one for one in log_lines(caplog, "audit") if one["event"] == "upload.confirmed"]
    assert [one["credential"] for one in lines] == ["bucket-events"] * 3


async def test_poison_is_logged_holds_up_nothing_and_ends(
    res: Resources,
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    sqs: Any,
    queue: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep_queue, "_VISIBILITY_SECONDS", 0)
    upload = await announced(client, b"hello", "a.txt")
    assert (await send(web, upload["upload"], b"hello")).is_success
    for poison in ("nothing", '{"Records": 1}'):
        sqs.send_message(QueueUrl=queue, MessageBody=poison)
    body = records(settings.destinations["files"].bucket, upload["key"])
    sqs.send_message(QueueUrl=queue, MessageBody=body)

    async def empty() -> bool:
        return left(sqs, queue) == 0

    await read_until(res, queue, empty)
    assert await db.fetchval("SELECT state FROM files") == "confirmed"
    lines = log_lines(caplog, "queue")
    assert {line["event"] for line in lines} == {"bucket_event_unreadable"}
    assert len({line["message_id"] for line in lines}) == 2
    assert max(line["received"] for line in lines) == 10


async def test_what_cannot_be_noted_stays_in_the_queue(
    environ: dict[str, str], sqs: Any, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    down = {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/d"}
    settings = load_settings(environ | down | {"CLAIMCHECK_BUCKET_EVENTS_QUEUE": queue})
    body = records(settings.destinations["files"].bucket, "files/a.txt")
    sqs.send_message(QueueUrl=queue, MessageBody=body)

    async def failed() -> bool:
        return bool(log_lines(caplog, "queue"))

    async with open_resources(settings) as res:
        await read_until(res, queue, failed)
    assert log_lines(caplog, "queue")[0]["problem"] == "database-unavailable"
    assert left(sqs, queue) == 1


async def test_a_queue_that_is_not_there_is_told_of(
    res: Resources, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def failed() -> bool:
        return bool(log_lines(caplog, "queue"))

    await read_until(res, queue + "-gone", failed)
    [line] = log_lines(caplog, "queue")
    assert line["event"] == "queue_failed"
    assert "NonExistentQueue" in line["code"]
