"""Nothing that a request asks for is run in a thread: FastAPI does so with whatever is not `async`,
and each such hop costs a request more than what is done there.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.main import create_app
from app.settings.model import Settings


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from _calls(one)


def _is_async(call: Any) -> bool:
    function = call if inspect.isroutine(call) else type(call).__call__
    return inspect.iscoroutinefunction(function)


async def test_routes_and_their_dependencies_stay_on_the_event_loop(settings: Settings) -> None:
    routes = [r for r in create_app(settings).routes if isinstance(r, APIRoute)]
    asked = {call for route in routes for call in _calls(route.dependant)}
    assert len(asked) > 50
    assert [call for call in asked if not _is_async(call)] == []
