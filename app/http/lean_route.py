"""A route that goes the short way to its function, for requests that are as they should be."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from fastapi import HTTPException, Request, Response
from fastapi.params import Depends, Header, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.http.problems import too_many_mistakes
from app.http.request_headers import header
from app.loading import load_once

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_Dependency = Callable[[Request], Awaitable[Any]]

# To list them all holds others up; so many are one answer's, and all of an honest mistake's.
_MISTAKES_TOLD: Final = 200
# More bytes take as long to parse as an announcement takes in all: others have their turn then.
_LONG_BODY: Final = 16 * 1024
# For a model of the whole query, in the place of a parameter's default.
_QUERY_MODEL: Final = object()


class LeanRoute(APIRoute):
    """Does what FastAPI does for a request, in less time: about 0.1 ms of processor time less.

    The short way calls the dependencies, parses and validates the body in one pass, converts the
    parameters of path, query and headers, and calls the function. It is for functions that answer
    with a Response and ask for nothing but one JSON body (which may be optional), parameters of the
    path, of the query (as `Annotated[..., Query()]`, without aliases) and of the headers (as
    `Annotated[..., Header(alias=...)]`, one value each), the request, and dependencies that are
    coroutine functions of the request alone (`permissions.py`). Of functions
    that ask for anything else FastAPI reads the rest, once those dependencies have let the request
    in: nobody's body is read before it is known that they may send it. Where the short way cannot
    read a request, FastAPI reads it once more and says what is wrong; the dependencies have run by
    then, and do not run again. The OpenAPI document is FastAPI's in any case. Functions that do not
    answer with a Response go FastAPI's own way, which reads the body first: they have none.

    Dependencies belong in the function's signature or its router's `dependencies`: those given to
    `include_router` or to the application are not seen here.
    """

    # Whether `answer` can be called; FastAPI makes routes that are included anew.
    is_lean = False
    _known: _Handler | None = None

    def get_route_handler(self) -> _Handler:
        signature = inspect.signature(self.endpoint, eval_str=True)
        if self.dependencies or not _is_class(signature.return_annotation, Response):
            return super().get_route_handler()
        self.is_lean = True
        # Made for the route's first request, in a thread: for a model of the query it takes 4 ms.
        self._short_way = cache(self._make_short_way)

        async def handle(request: Request) -> Response:
            return await (await load_once(self._short_way))(request)

        return handle

    def prepare(self) -> None:
        """Make the short way now, not for the route's first request."""
        if self.is_lean:
            self._short_way()

    def _make_short_way(self) -> _Handler:
        function: Any = self.endpoint
        signature = inspect.signature(function, eval_str=True)
        bodies: list[tuple[str, type[BaseModel], bool]] = []
        in_path: list[tuple[str, TypeAdapter[Any]]] = []
        in_query: list[tuple[str, TypeAdapter[Any], Any]] = []
        in_headers: list[tuple[str, bytes, TypeAdapter[Any], Any]] = []
        dependencies: list[tuple[str, _Dependency]] = []
        requests: list[str] = []
        is_short = True
        for name, parameter in signature.parameters.items():
            hint = parameter.annotation
            if hint is Request:
                requests.append(name)
            elif name in self.param_convertors:
                in_path.append((name, TypeAdapter(hint)))
            elif _is_of_query(hint):
                # A model takes the query whole.
                default = _QUERY_MODEL if _model_of(get_args(hint)[0]) else parameter.default
                in_query.append((name, TypeAdapter(hint), default))
            elif (key := _header_of(hint)) is not None:
                in_headers.append((name, key, TypeAdapter(hint), parameter.default))
            elif (model := _model_of(hint)) is not None:
                bodies.append((name, model, hint is model))
            elif (dependency := _of_the_request_alone(hint)) is not None:
                dependencies.append((name, dependency))
            else:
                is_short = False
        is_short = is_short and len(bodies) < 2
        known = {*requests, *(name for name, _ in dependencies)}
        read_with_fastapi = _fastapi_reader(self.path, signature, known)

        async def read_short(request: Request) -> dict[str, Any]:
            values: dict[str, Any] = {}
            try:
                for name, model, required in bodies:
                    body = await request.body()
                    if not body and not required:
                        continue
                    if _media_type(request) == "application/json":
                        values[name] = model.model_validate_json(body)
                        if len(body) > _LONG_BODY:
                            await asyncio.sleep(0)
                    else:
                        values |= await read_with_fastapi(request)
                for name, kind in in_path:
                    values[name] = kind.validate_python(request.path_params[name])
                for name, kind, default in in_query:
                    given = request.query_params
                    if default is _QUERY_MODEL:
                        values[name] = kind.validate_python(dict(given))
                    elif name in given or default is inspect.Parameter.empty:
                        values[name] = kind.validate_python(given.get(name, default))
                    else:
                        values[name] = default
                for name, key, kind, default in in_headers:
                    value = header(request.scope, key)
                    if value is None and default is not inspect.Parameter.empty:
                        values[name] = default
                    else:
                        values[name] = kind.validate_python(value)
            except ValidationError as error:
                if error.error_count() > _MISTAKES_TOLD:
                    raise too_many_mistakes() from None
                values |= await read_with_fastapi(request)
            except ClientDisconnect:
                # As FastAPI has it. Nobody is there to read it.
                raise HTTPException(400) from None
            return values

        read = read_short if is_short else read_with_fastapi

        async def handle(request: Request) -> Response:
            values: dict[str, Any] = dict.fromkeys(requests, request)
            for name, dependency in dependencies:
                values[name] = await dependency(request)
            answer: Response = await function(**values, **await read(request))
            return answer

        return handle

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application, without what FastAPI has around each route: exit stacks,
        for dependencies that yield and for forms, and a handler of problems, for which the one
        around all routes will do.
        """
        handle = self._known
        if handle is None:
            handle = self._known = await load_once(self._short_way)
        response = await handle(_Request(scope, receive, send))
        await response(scope, receive, send)


_NO_QUERY: Final = QueryParams()


class _Request(Request):
    @property
    def query_params(self) -> QueryParams:
        return super().query_params if self.scope["query_string"] else _NO_QUERY

    async def body(self) -> bytes:
        """Reads it as Starlette does, without an iterator of its pieces: there is one, mostly."""
        if not hasattr(self, "_body"):
            pieces: list[bytes] = []
            is_whole = False
            while not is_whole:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                is_whole = not message.get("more_body", False)
            self._body = b"".join(pieces)
        return self._body


def _fastapi_reader(
    path: str, signature: inspect.Signature, known: Collection[str]
) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """FastAPI's own reading of all that a function asks for but what is known already."""

    async def read(**values: Any) -> _Values:
        return _Values(values)

    @cache
    def handler() -> _Handler:
        # Made for the first request that needs it: most routes never do.
        asked = [one for name, one in signature.parameters.items() if name not in known]
        read.__signature__ = signature.replace(parameters=asked)  # type: ignore[attr-defined]
        return APIRoute(path, read, response_model=None).get_route_handler()

    async def read_with_fastapi(request: Request) -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            # FastAPI looks for them, even where no dependency yields.
            for name in ("middleware", "inner", "function"):
                request.scope[f"fastapi_{name}_astack"] = stack
            answer = await handler()(request)
        assert isinstance(answer, _Values)
        return answer.values

    return read_with_fastapi


class _Values(Response):
    """Takes the values of parameters through FastAPI, which hands on a Response as it is."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values


def _media_type(request: Request) -> str:
    return (header(request.scope, b"content-type") or "").partition(";")[0]


def _model_of(hint: Any) -> type[BaseModel] | None:
    """The model of `Model` and of `Model | None`, a body that may be left out."""
    found = [one for one in get_args(hint) if one is not NoneType] or [hint]
    return found[0] if len(found) == 1 and _is_class(found[0], BaseModel) else None


def _is_class(hint: Any, base: type) -> bool:
    return inspect.isclass(hint) and issubclass(hint, base)


def _is_of_query(hint: Any) -> bool:
    last = get_args(hint)[-1] if get_origin(hint) is Annotated else None
    return isinstance(last, Query) and last.alias is None


def _header_of(hint: Any) -> bytes | None:
    """The name, in lower case, of the header that a parameter takes, where it says one."""
    last = get_args(hint)[-1] if get_origin(hint) is Annotated else None
    alias = last.alias if isinstance(last, Header) else None
    return None if alias is None else alias.lower().encode()


def _of_the_request_alone(hint: Any) -> _Dependency | None:
    """The dependency of `Annotated[..., Depends(dependency)]`, if it asks for nothing else."""
    if get_origin(hint) is not Annotated or not isinstance(get_args(hint)[-1], Depends):
        return None
    dependency = get_args(hint)[-1].dependency
    function = dependency if inspect.isroutine(dependency) else type(dependency).__call__
    if not inspect.iscoroutinefunction(function):
        return None
    asked = {n: h for n, h in get_type_hints(function).items() if n != "return"}
    return dependency if list(asked.values()) == [Request] else None
