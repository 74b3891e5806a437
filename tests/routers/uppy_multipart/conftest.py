"""Uppy's door, and a client of either major that talks to it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.routers import uppy
from app.settings.model import Settings
from app.store.objects import ObjectHandle
from tests.routers.uppy_multipart.steps import RULES, Held, Uppy
from tests.support.service import prepared


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RULES)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def upload(client: httpx.AsyncClient, web: httpx.AsyncClient) -> Uppy:
    return Uppy(client, web)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The bucket takes its time to join parts. Nobody waits long."""
    monkeypatch.setattr(uppy, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(uppy, "HEARTBEAT_SECONDS", 0.01)
    held, join = Held(), ObjectHandle.complete_upload

    async def late(*arguments: Any, **named: Any) -> Any:
        held.asked.set()
        await held.released.wait()
        return await join(*arguments, **named)

    monkeypatch.setattr(ObjectHandle, "complete_upload", late)
    return held
