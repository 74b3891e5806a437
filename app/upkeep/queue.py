"""The queue in which AWS tells what has arrived: SQS, directly, through SNS or EventBridge.

A message is deleted once what it tells is noted in the database, where the sweep finds it whatever
happens next. One that nobody can read is logged, and left: queues with a redrive policy put it
aside. Where there is none it is deleted in the end, for it would come again for days.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from app.core.bucket_events import Names, UnreadableEvent, arrivals
from app.core.notifications import is_of_aws, queue_region
from app.errors import Problem
from app.logs.log import Actor, current_actor, get_logger
from app.models.files import File
from app.runtime.resources import Resources
from app.scans.told import note_scans
from app.store.client import error_code
from app.store.credentials import CredentialsUnavailable
from app.store.session import AioConfig, client_session
from app.uploads.arrive import ACTOR, note_arrivals, try_to_confirm

_log: Final = get_logger("queue")
# Messages at once, which is the most that SQS gives; and seconds that it waits for the first.
_BATCH: Final = 10
_WAIT_SECONDS: Final = 20
# Seconds for which SQS gives a message to nobody else, and between two tries after a failure.
_VISIBILITY_SECONDS: Final = 60
_RETRY_SECONDS: Final = 10.0
# A message that nobody can read is deleted when it comes for the last of so many times.
_MOST_RECEIVES: Final = 10


def open_queue(res: Resources, url: str) -> Any:
    """An async context manager that yields a client of the queue's service."""
    parts = urlsplit(url)
    return client_session(res.credentials).client(
        "sqs",
        region_name=queue_region(url, res.settings.aws_s3_region_name),
        endpoint_url=None if is_of_aws(url) else f"{parts.scheme}://{parts.netloc}",
        config=AioConfig(
            connect_timeout=3,
            read_timeout=_WAIT_SECONDS + 10,
            retries={"mode": "standard", "total_max_attempts": 2},
            ignore_configured_endpoint_urls=True,
        ),
    )


async def read_queue(res: Resources, url: str, stopping: asyncio.Event) -> None:
    """Read the queue until `stopping` is set. Failures are logged, and it goes on after a while."""
    current_actor.set(Actor(name=ACTOR))
    async with open_queue(res, url) as client:
        while not stopping.is_set():
            try:
                messages = await _until(stopping, _receive(client, url))
                await handle(res, client, url, messages or [])
            except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
                code = error_code(error) if isinstance(error, ClientError) else None
                _log.warning("queue_failed", code=code, reason=str(error) or type(error).__name__)
            except CredentialsUnavailable as error:
                _log.warning("queue_failed", reason=str(error))
            except Problem as problem:
                # What could not be noted comes again.
                _log.warning("queue_failed", problem=problem.slug(), detail=problem.detail)
            except Exception:
                # The sweep beside it goes on.
                _log.exception("queue_failed")
            else:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await stopping.wait()


async def handle(
    res: Resources, client: Any, url: str, messages: Sequence[Mapping[str, Any]]
) -> None:
    """Note what the messages tell, delete them, and confirm what has arrived.

    Raises DatabaseUnavailable, and then deletes none, and what the client raises.
    """
    done: list[Mapping[str, Any]] = []
    names: Names = set()
    for message in messages:
        try:
            names |= arrivals(message["Body"])
            await note_scans(res, message["Body"])
        except UnreadableEvent as error:
            received = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
            _log.warning(
                "bucket_event_unreadable",
                reason=str(error),
                message_id=message["MessageId"],
                received=received,
            )
            if received < _MOST_RECEIVES:
                continue
        done.append(message)
    arrived = await note_arrivals(res, names)
    if done:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(done)
        ]
        # One that is not deleted comes again, which does no harm.
        await client.delete_message_batch(QueueUrl=url, Entries=entries)
    await asyncio.gather(*(_confirm(res, file) for file in arrived))


async def _confirm(res: Resources, file: File) -> None:
    try:
        await try_to_confirm(res, file)
    except Problem as problem:
        # The sweep looks next.
        _log.warning(
            "not_confirmed", file_id=file.id, problem=problem.slug(), detail=problem.detail
        )


async def _receive(client: Any, url: str) -> list[Mapping[str, Any]]:
    said = await client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=_BATCH,
        WaitTimeSeconds=_WAIT_SECONDS,
        VisibilityTimeout=_VISIBILITY_SECONDS,
        AttributeNames=["ApproximateReceiveCount"],
    )
    messages: list[Mapping[str, Any]] = said.get("Messages", [])
    return messages


async def _until(stopping: asyncio.Event, work: Any) -> Any:
    """The result of the work; None, and the work is cancelled, if `stopping` is set before."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
