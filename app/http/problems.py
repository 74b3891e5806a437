"""Failures rendered as RFC 9457 `application/problem+json`, all of them here."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from app.core.object_url import UnsignableValue
from app.errors import (
    AddressTooLong,
    AnswerOverdue,
    CredentialRequired,
    DatabaseUnavailable,
    HeadersTooLarge,
    InsufficientScope,
    InternalError,
    InvalidObjectKey,
    InvalidToken,
    IssuerUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    Problem,
    RequestTooLarge,
    RouteNotFound,
    TooManyRequests,
    ValidationFailed,
)
from app.logs.log import get_logger
from app.store.credentials import CredentialsUnavailable

_errors: Final = get_logger("errors")

MEDIA_TYPE = "application/problem+json"
# One body may hold tens of thousands, and readers need a few.
MAX_ERRORS = 20

_ALWAYS: Final = (
    ValidationFailed,
    MalformedRequest,
    RequestTooLarge,
    AddressTooLong,
    HeadersTooLarge,
    InternalError,
    AnswerOverdue,
)
_OF_PERMISSIONS: Final = (
    CredentialRequired,
    InvalidToken,
    InsufficientScope,
    IssuerUnavailable,
    DatabaseUnavailable,
    TooManyRequests,
)


class ProblemBody(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:claimcheck:problem:file-not-found"])
    title: str = Field(examples=["No such file"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["No file of yours has this id."])
    request_id: str = Field(examples=["0c7c2d6f5f0b4b0f"])


def problem_body(problem: Problem, request_id: str) -> dict[str, Any]:
    """The JSON object of a problem, also where one stands in a batch among answers."""
    return {
        "type": problem.type_uri(),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
        **problem.extensions,
    }


def problem_response(
    problem: Problem, scope: Scope, headers: dict[str, str] | None = None
) -> Response:
    body = problem_body(problem, request_id_of(scope))
    if scope["path"].startswith("/uppy/"):
        body |= uppy_members(problem)
    # ASCII JSON: what a client sent may be in it, and need not be valid Unicode.
    response = Response(json.dumps(body), problem.status, headers, media_type=MEDIA_TYPE)
    response.headers.update(problem.headers)
    if problem.challenge is not None:
        # RFC 6750 section 3; what is quoted is a scope, and so without quotation marks.
        scope_wanted = problem.extensions.get("scope")
        attribute = f', scope="{scope_wanted}"' if scope_wanted else ""
        response.headers["WWW-Authenticate"] = problem.challenge + attribute
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def uppy_members(problem: Problem) -> dict[str, str]:
    """The members that Uppy 5 reads of a failure; of a 4xx it shows `message` to the user."""
    return {"error": problem.title, "message": problem.detail, "code": problem.slug()}


def request_id_of(scope: Scope) -> str:
    """The id that the outermost middleware gave the request."""
    return str(scope.get("state", {}).get("request_id", "-"))


def responses(*problems: type[Problem], public: bool = False) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for the problems that a route may answer with.

    `public` says that the route needs no credential.
    """
    described: dict[int | str, dict[str, Any]] = {}
    for problem in dict.fromkeys((*problems, *_ALWAYS, *(() if public else _OF_PERMISSIONS))):
        detail = " ".join((problem.__doc__ or "").split())
        content = {"schema": {"$ref": "#/components/schemas/ProblemBody"}, "examples": {}}
        empty = {"description": "", "content": {MEDIA_TYPE: content}}
        at = described.setdefault(problem.status, empty)
        at["description"] = f"{at['description']}\n\n`{problem.slug()}`: {detail}".strip()
        if problem.status == 401:
            at |= headers({"WWW-Authenticate": "RFC 6750: what is wrong with the token"})
        if problem is TooManyRequests:
            at |= headers(
                {
                    "Retry-After": "Seconds to wait",
                    "RateLimit-Policy": "The limit",
                    "RateLimit": "What is left of it, and for how long",
                }
            )
        example = problem_body(problem(detail), "0c7c2d6f5f0b4b0f")
        at["content"][MEDIA_TYPE]["examples"][problem.slug()] = {"value": example}
    return described


def headers(described: dict[str, str]) -> dict[str, Any]:
    """OpenAPI's `headers` of an answer, from a description of each by name."""
    text = {"type": "string"}
    return {
        "headers": {name: {"description": said, "schema": text} for name, said in described.items()}
    }


def validation_problem(found: Sequence[Any]) -> ValidationFailed:
    """The problem for pydantic's errors, without the input: it may be secret, or not encodable."""
    errors = [
        # A field's name is the client's, and need not be encodable either.
        {"loc": [ascii(p)[1:-1] if isinstance(p, str) else p for p in e["loc"]]}
        | {"message": _in_words(e)}
        for e in found[:MAX_ERRORS]
    ]
    where = ".".join(str(part) for part in errors[0]["loc"])
    detail = f"{where}: {errors[0]['message']}." if where else f"{errors[0]['message']}."
    return ValidationFailed(detail, errors=errors)


def too_many_mistakes() -> ValidationFailed:
    """The problem for a request that is not worth a list of what is wrong with it."""
    message = "is another thing than this route takes: see /openapi.json"
    return ValidationFailed(f"body {message}.", errors=[{"loc": ["body"], "message": message}])


# In place of a length or a pattern, which tells nobody that they wrote a checksum in hexadecimal.
_MD5: Final = "write the MD5 in Base64: 24 characters, not 32 in hexadecimal"
_CHECKSUMS: Final = {
    "checksum_sha256": "write the SHA-256 in Base64: 44 characters, not 64 in hexadecimal",
    "checksum_md5": _MD5,
    "checksums_md5": _MD5,
}
_RECORD_ID: Final = "write up to 200 visible ASCII characters without / and ,"
# In place of the pattern of each field that has one.
FORMS: Final = _CHECKSUMS | {
    "after": "write the `cursor` of the answer before, or latest",
    "content_type": "write a content type such as image/png, or a family such as image/*",
    "destination": "write a destination's name, which has ASCII letters, digits, _ and - alone",
    "email": "write an e-mail address, such as ann@example.com",
    "id": _RECORD_ID,
    "key": "write an object's key, which is not empty and has no control characters",
    "partNumbers": "write the numbers of up to 1000 parts, separated by commas",
    "reason": "write one line without control characters",
    "record_id": _RECORD_ID,
}


def _in_words(error: dict[str, Any]) -> str:
    """The message of one of pydantic's errors."""
    if error["loc"] == ("body",) and error["type"] in {"missing", "model_attributes_type"}:
        # Also what FastAPI makes of JSON under another Content-Type.
        return "Send a JSON object with Content-Type: application/json"
    name = next((part for part in reversed(error["loc"]) if isinstance(part, str)), "")
    if error["type"] == "string_pattern_mismatch" and name in FORMS:
        return FORMS[name]
    if error["type"] in {"string_too_long", "string_too_short"} and name in _CHECKSUMS:
        return _CHECKSUMS[name]
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _allowed(request: Request) -> str:
    """All methods of the path (RFC 9110 section 10.2.1); the router names the first route's."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}
    methods = [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches(scope | {"method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]
    # A mounted folder matches every method, and refuses all but these itself.
    return "GET, HEAD" if request.method in methods else ", ".join(methods)


def log_cause(error: Exception) -> None:
    """Log which of our dependencies failed and how, which the client is not told."""
    cause = error.__cause__ or error
    _errors.error(
        "request_failed", problem=str(error), cause=type(cause).__name__, detail=str(cause)
    )


_OF_STATUS: Final[dict[int, type[Problem]]] = {
    400: MalformedRequest,
    404: RouteNotFound,
    405: MethodNotAllowed,
}


def install(app: FastAPI) -> None:
    """Render every failure that reaches FastAPI."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        # 501 refuses something that the service does not offer: no failure of ours.
        if problem.status >= 500 and problem.status != 501:
            log_cause(problem)
        return problem_response(problem, request.scope)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        problem: Problem = validation_problem(error.errors())
        if error.errors()[0]["type"] == "json_invalid":
            problem = MalformedRequest("The body is not well-formed JSON.")
        return problem_response(problem, request.scope)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        problem = _OF_STATUS.get(error.status_code)
        if problem is None:
            raise error
        detail = (problem.__doc__ or "").strip()
        allow = {"Allow": _allowed(request)} if problem is MethodNotAllowed else None
        return problem_response(problem(detail), request.scope, allow)

    @app.exception_handler(CredentialsUnavailable)
    async def _unsigned(request: Request, error: CredentialsUnavailable) -> Response:
        log_cause(error)
        return problem_response(error.as_problem(), request.scope)

    @app.exception_handler(UnsignableValue)
    async def _unsignable(request: Request, error: UnsignableValue) -> Response:
        return problem_response(InvalidObjectKey(f"{error}"), request.scope)
