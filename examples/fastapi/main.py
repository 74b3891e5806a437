"""A form whose pictures go straight into the bucket; this program never sees their bytes."""

import os
from html import escape
from typing import Annotated

import httpx
from fastapi import Cookie, FastAPI, Form, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

SERVICE = "http://127.0.0.1:8000"
KEY = os.environ.get("CLAIMCHECK_KEY", "none")  # `make run` needs none
POLICY = (
    f"default-src 'none'; script-src 'self' {SERVICE}; connect-src 'self' http://127.0.0.1:*; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

claimcheck = httpx.AsyncClient(base_url=SERVICE, headers={"Authorization": f"Bearer {KEY}"})
app = FastAPI()
app.mount("/static", StaticFiles(directory="static"))


@app.middleware("http")
async def add_policy(request: Request, call_next) -> Response:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@app.get("/")
async def show_form() -> FileResponse:
    return FileResponse("page.html")


@app.post("/upload-session")
async def upload_session(
    token: Annotated[str | None, Cookie(alias="upload_session")] = None,
) -> PlainTextResponse:
    """The token with which this browser may upload: the same after a reload, so it goes on."""
    # Here: is somebody signed in, and may they upload?
    if token is not None:
        return PlainTextResponse(token)
    wanted = {"destination": "images", "max_files": 100, "expires_in": 86_400}
    made = await claimcheck.post("/v1/upload-sessions", json=wanted)
    token = made.raise_for_status().json()["token"]
    response = PlainTextResponse(token)
    # The cookie ends before the session does.
    response.set_cookie("upload_session", token, max_age=43_200, httponly=True, samesite="strict")
    return response


@app.post("/")
async def save(file: Annotated[list[str], Form()]) -> HTMLResponse:
    """Ask the service about the ids: what a form says proves nothing."""
    found = await claimcheck.post("/v1/files/presign", json={"ids": file})
    pictures = found.json()["items"] if found.is_success else [{"problem": found.json()}]
    if any("problem" in picture for picture in pictures):
        raise HTTPException(422, "These are no pictures of ours.")
    # Keep the ids, or the URLs. The links expire.
    links = (f'<li><a href="{escape(one["presigned_url"])}">open</a>' for one in pictures)
    return HTMLResponse(f"<!doctype html><title>Saved</title><ul>{''.join(links)}</ul>")
