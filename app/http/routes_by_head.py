"""Finds a request's route by its path's head and length, in place of trying them one by one."""

from collections import defaultdict
from typing import Final

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.lean_route import LeanRoute

# Of `/v1/files/{file_id}/content` the head is `/v1/files`.
_SEGMENTS: Final = 2


class RoutesByHead:
    """In front of an application's router: its lean routes are tried first, those of a request's
    method, head and number of segments.

    FastAPI tries all routes in turn, and has exit stacks and handlers of problems around each. A
    request that no lean route fits goes on to the router, which knows why.
    """

    def __init__(self, router: APIRouter, otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        # Those without parameters: nothing but the path is to be compared.
        self._plain: dict[tuple[str, str], LeanRoute] = {}
        # In the router's order.
        self._routes: defaultdict[tuple[str, str, int], list[LeanRoute]] = defaultdict(list)
        for route in router.routes:
            if isinstance(route, LeanRoute) and route.is_lean:
                head = _head(route.path)
                assert "{" not in head
                # A parameter is one segment.
                assert ":path}" not in route.path
                for method in route.methods or ():
                    scope = {"type": "http", "method": method, "path": route.path}
                    if "{" not in route.path and self.route_of(scope) is None:
                        self._plain[method, route.path] = route
                    self._routes[method, head, route.path.count("/")].append(route)

    def route_of(self, scope: Scope) -> tuple[LeanRoute, Scope] | None:
        """The lean route of a request, and what is found out about it; None where there is none."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        plain = self._plain.get((scope["method"], path))
        if plain is not None:
            return plain, {"endpoint": plain.endpoint, "path_params": {}, "route": plain}
        for route in self._routes.get((scope["method"], _head(path), path.count("/")), ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                return route, found
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        there = self.route_of(scope) if scope["type"] == "http" else None
        if there is None:
            await self._otherwise(scope, receive, send)
            return
        route, found = there
        scope.update(found)
        await route.answer(scope, receive, send)


def _head(path: str) -> str:
    return "/".join(path.split("/", _SEGMENTS + 1)[: _SEGMENTS + 1])
