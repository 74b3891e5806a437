"""One application twice, with LeanRoute and with FastAPI's own route: both must answer alike."""

from typing import Annotated, Any, Literal
from uuid import UUID

import fastapi.routing
import httpx
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response, Security
from pydantic import Field

from app.errors import LoopbackOnly
from app.http import problems
from app.http.lean_route import LeanRoute
from app.http.rendering import json_response
from app.routers.files import ListParameters
from app.routers.links import LinksWanted
from app.routers.uploads import AnnouncementBody, BatchBody


async def _caller(request: Request) -> str:
    request.app.state.asked += 1
    name = request.headers.get("x-caller", "nobody")
    if name == "refused":
        raise LoopbackOnly("You are refused.")
    return name


async def _agent(user_agent: Annotated[str, Header()]) -> str:
    return user_agent


Caller = Annotated[str, Depends(_caller)]


def _site(route_class: type[fastapi.routing.APIRoute]) -> FastAPI:
    router = APIRouter(route_class=route_class)

    @router.post("/announce")
    async def announce(body: AnnouncementBody, caller: Caller, request: Request) -> Response:
        return json_response([repr(body), caller, request.url.path])

    @router.post("/batch")
    async def batch(caller: Caller, body: BatchBody) -> Response:
        return json_response([repr(body), caller])

    @router.post("/presign")
    async def presign(body: LinksWanted) -> Response:
        return json_response(repr(body))

    @router.post("/optional")
    async def optional(caller: Caller, body: LinksWanted | None = None) -> Response:
        return json_response([repr(body), caller])

    @router.get("/files/{file_id}/{number}")
    async def get(file_id: UUID, number: int, caller: Caller) -> Response:
        return json_response([str(file_id), number, caller])

    @router.get("/agent")
    async def agent(caller: Caller, agent: Annotated[str, Depends(_agent)]) -> Response:
        return json_response([caller, agent])

    @router.get("/scoped")
    async def scoped(caller: Annotated[str, Security(_caller, scopes=["read"])]) -> Response:
        return json_response(caller)

    @router.get("/query/{number}")
    async def query(
        number: int,
        caller: Caller,
        limit: Annotated[int, Query(ge=1)] = 5,
        name: Annotated[str | None, Query(max_length=5)] = None,
        kind: Literal["a", "b"] = "a",
        tags: Annotated[list[str], Query()] = [],  # noqa: B006
    ) -> Response:
        return json_response([number, caller, limit, name, kind, tags])

    @router.get("/headers")
    async def with_headers(
        caller: Caller,
        mark: Annotated[Annotated[int, Field(le=9)] | None, Header(alias="X-Mark")] = None,
        other: Annotated[str, Header(alias="X-Other")] = "none",
    ) -> Response:
        return json_response([caller, mark, other])

    @router.get("/header-needed")
    async def header_needed(mark: Annotated[int, Header(alias="X-Mark")]) -> Response:
        return json_response(mark)

    @router.get("/needed")
    async def needed(limit: int) -> Response:
        return json_response(limit)

    @router.get("/narrowed")
    async def narrowed(narrowing: Annotated[ListParameters, Query()], caller: Caller) -> Response:
        return json_response([repr(narrowing), caller])

    @router.get("/model")
    async def model(caller: Caller) -> dict[str, str]:
        return {"caller": caller}

    @router.post("/two")
    async def two(one: AnnouncementBody, other: AnnouncementBody) -> Response:
        return json_response([repr(one), repr(other)])

    guarded = APIRouter(route_class=route_class, dependencies=[Depends(_caller)])

    @guarded.get("/guarded")
    async def inside() -> Response:
        return json_response("inside")

    app = FastAPI()
    problems.install(app)
    app.include_router(router)
    app.include_router(guarded)
    return app


class Both:
    """One application twice; the answers of both must be equal."""

    def __init__(self) -> None:
        self.apps = [_site(LeanRoute), _site(fastapi.routing.APIRoute)]
        self.clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
            for app in self.apps
        ]

    async def __call__(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        for app in self.apps:
            app.state.asked = 0
        lean, own = [await client.request(method, path, **kwargs) for client in self.clients]
        assert all(app.state.asked <= 1 for app in self.apps)
        assert (lean.status_code, lean.content, lean.headers) == (
            own.status_code,
            own.content,
            own.headers,
        )
        return lean
