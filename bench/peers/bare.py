"""FastAPI and nothing else: what a process of it takes to start, and in memory.

`uvicorn bench.peers.bare:create_app --factory`.
"""

from __future__ import annotations

from fastapi import FastAPI


def create_app() -> FastAPI:
    """One route."""
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    return app
