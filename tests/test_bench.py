"""The benchmark is not run here, but it must not be left behind by what it measures."""

import importlib
import pkgutil

import httpx
import pytest
from fastapi import FastAPI

import bench
from bench.peers import echo
from bench.sections.uploads import ANNOUNCEMENT
from tests.support import UNKNOWN_ID

# Django is the benchmark's alone, in an environment of its own.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(bench.__path__, "bench.")
    if module.name != "bench.peers.django_site"
]


@pytest.mark.parametrize("name", MODULES)
def test_it_finds_what_it_measures(name: str) -> None:
    importlib.import_module(name)


async def test_the_echo_answers_what_the_service_is_asked() -> None:
    app: FastAPI = echo.create_app()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path, body, status in (
            ("/v1/uploads", ANNOUNCEMENT, 201),
            ("/v1/uploads/batch", {"uploads": [ANNOUNCEMENT]}, 200),
            (f"/v1/uploads/{UNKNOWN_ID}/confirm", None, 200),
            ("/v1/files/presign", {"ids": [UNKNOWN_ID]}, 200),
        ):
            assert (await client.post(path, json=body)).status_code == status
        assert (await client.get(f"/v1/files/{UNKNOWN_ID}/content")).status_code == 302
