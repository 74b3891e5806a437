"""Uppy's uploads in parts are completed: slowly, with a store away, with the client gone."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import BucketRefused, BucketUnavailable, DatabaseUnavailable, Problem
from app.routers import uppy
from app.store.objects import ObjectHandle
from app.uploads.confirm import confirm_upload
from tests.routers.uppy_multipart.steps import Held, Reader, Uppy, explained, read_by_5, read_by_6


async def test_however_often_it_is_asked_one_task_waits_for_the_bucket(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that a client gives up would leave one behind, for as long as the bucket works."""
    await upload.create()
    await upload.send(1, b"x")
    started, has_started, may_end, real = 0, asyncio.Event(), asyncio.Event(), confirm_upload

    async def slow(*arguments: Any, **named: Any) -> Any:
        nonlocal started
        started += 1
        has_started.set()
        await may_end.wait()
        return await real(*arguments, **named)

    monkeypatch.setattr(uppy, "confirm_upload", slow)
    calls = [asyncio.create_task(upload.complete()) for _ in range(20)]
    await has_started.wait()
    for call in calls[:10]:
        call.cancel()
    may_end.set()
    answers = await asyncio.gather(*calls[10:])
    assert {answer.status_code for answer in answers} == {200}
    assert started == 1
    assert (await upload.complete()).status_code == 200


class Away:
    """A call that fails a few times before it does what it does."""

    def __init__(self, call: Callable[..., Any], problem: Problem, times: int) -> None:
        self.call, self.problem, self.left = call, problem, times

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.left:
            self.left -= 1
            raise self.problem
        return await self.call(*arguments, **named)

    def __get__(self, instance: object, _: type) -> Callable[..., Any]:
        """As a method."""
        return partial(self, instance)


async def test_a_store_or_a_database_that_is_away_for_a_moment_fails_no_completion(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uppy 5 drops the upload at once when it fails, hours of it perhaps."""
    upload.major = 5
    monkeypatch.setattr(uppy, "FIRST_WAIT", 0.0)
    await upload.create()
    await upload.send(1, b"x")
    bucket = BucketUnavailable("It is down.", retry_after=1)
    database = DatabaseUnavailable("It is down.", retry_after=1)
    calls: list[Away] = []
    for module, name, problem in (
        (uppy, "get_upload", database),
        (uppy, "confirm_upload", database),
        (ObjectHandle, "list_parts", bucket),
    ):
        calls.append(Away(getattr(module, name), problem, times=2))
        monkeypatch.setattr(module, name, calls[-1])
    assert (await upload.complete()).status_code == 200
    assert [call.left for call in calls] == [0, 0, 0]
    assert await upload.state() == "confirmed"


async def test_a_store_that_stays_away_fails_it_in_the_end(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uppy, "RETRY_SECONDS", 0.0)
    await upload.create()
    await upload.send(1, b"x")
    bucket = BucketUnavailable("It is down.", retry_after=1)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "list_parts", Away(ObjectHandle.list_parts, bucket, 1))
        assert explained(await upload.complete(), 503) == "bucket-unavailable"
    assert (await upload.complete()).status_code == 200


@pytest.mark.parametrize("major", [5, 6])
async def test_a_long_completion_keeps_the_connection_alive(
    app: FastAPI, upload: Uppy, held: Held, client: httpx.AsyncClient, major: int
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, major)
    await reader.beats.wait()
    assert (reader.status, reader.body.strip()) == (200, b"")
    await asyncio.wait_for(held.asked.wait(), 120)
    # Uppy 5 gives up and cancels: not any more.
    assert await upload.state() == "completing"
    await upload.abort()
    assert await upload.state() == "completing"
    held.released.set()
    await reader.task
    assert set(json.loads(reader.body)) == {"location", "key", "bucket"}
    assert await upload.state() == "confirmed"


async def test_a_client_that_goes_away_leaves_a_file(
    app: FastAPI, upload: Uppy, held: Held
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, 6)
    await reader.beats.wait()
    reader.task.cancel()
    await asyncio.wait({reader.task})
    held.released.set()
    assert (await upload.complete()).status_code == 200
    assert await upload.state() == "confirmed"


@pytest.mark.parametrize(("major", "read"), [(5, read_by_5), (6, read_by_6)])
@pytest.mark.parametrize("failure", [BucketRefused("The bucket says no."), RuntimeError("oops")])
async def test_a_failure_after_the_status_is_still_told(
    app: FastAPI,
    upload: Uppy,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
    major: int,
    read: Callable[[bytes], str | None],
    failure: Exception,
) -> None:
    async def fail(*arguments: Any, **named: Any) -> None:
        await held.released.wait()
        raise failure

    monkeypatch.setattr(ObjectHandle, "complete_upload", fail)
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, major)
    await reader.beats.wait()
    held.released.set()
    await reader.task
    shown = read(reader.body)
    assert shown
    assert ("The bucket says no." in shown) == isinstance(failure, BucketRefused)
    assert "oops" not in shown
