"""The service, also with `auth = none`, which a deployment refuses.

`uvicorn bench.service:create_app --factory`.
"""

from __future__ import annotations

from fastapi import FastAPI

from app import main
from app.runtime.process import configure_logging, freeze_garbage_collector
from app.settings.model import load_settings


def create_app() -> FastAPI:
    configure_logging()
    app = main.create_app(load_settings())
    freeze_garbage_collector()
    return app
