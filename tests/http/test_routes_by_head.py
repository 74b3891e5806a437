"""Each request gets to the route that FastAPI's own walk along all routes would find."""

import httpx
import pytest
from starlette.routing import Match

from app.http.lean_route import LeanRoute
from app.http.routes_by_head import RoutesByHead
from app.main import create_app
from app.settings.model import Settings

ID = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"


def asked(method: str, path: str, root_path: str = "") -> dict[str, object]:
    return {"type": "http", "method": method, "path": root_path + path, "root_path": root_path}


async def test_every_lean_route_is_found_by_its_head(settings: Settings) -> None:
    app = create_app(settings)
    found: list[object] = []

    async def otherwise(scope: object, receive: object, send: object) -> None:
        found.append(None)

    by_head = RoutesByHead(app.router, otherwise)
    lean = [route for route in app.router.routes if isinstance(route, LeanRoute) and route.is_lean]
    assert len(lean) > 20
    for route in lean:
        for method in route.methods or ():
            path = route.path.replace("{record_type}", "product").replace("{field}", "picture")
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", ID)
            for root_path in ("", "/behind"):
                scope = asked(method, path, root_path)
                first = next(r for r in app.router.routes if r.matches(scope)[0] is Match.FULL)
                assert by_head.route_of(scope) == (first, first.matches(scope)[1])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "/v1/files", 405),
        ("POST", f"/v1/files/{ID}/content", 405),
        ("GET", "/v1/files/", 404),
        ("GET", "/v1", 404),
        ("GET", "//v1/files", 404),
        ("GET", f"/v1/files/{ID}", 404),
        ("HEAD", "/v1/files", 200),
        ("GET", "/livez", 200),
    ],
)
async def test_what_is_not_found_by_its_head(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, f"http://127.0.0.1{path}")
    assert response.status_code == status, response.text
    if status == 405:
        assert response.headers["allow"]


async def test_a_body_of_many_mistakes_is_refused_without_a_list(client: httpx.AsyncClient) -> None:
    body = {str(number): 1 for number in range(3000)}
    response = await client.post("/v1/files/presign", json=body)
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 1
    few = await client.post("/v1/files/presign", json={str(number): 1 for number in range(30)})
    assert len(few.json()["errors"]) == 20
