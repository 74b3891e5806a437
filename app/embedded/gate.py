"""The gate before the embedded S3: refuses what S3 refuses. For development only.

moto stores objects well but believes every signature, expiry and policy. This WSGI application
verifies a request, hands a clean copy of it to moto, and answers browsers by the bucket's own CORS
rules. Known differences from S3: keys that may do everything, so no policies, no ACLs and nothing
public; any region; path style only; no aws-chunked bodies.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from werkzeug.wrappers import Response

from app.embedded import gate_cors
from app.embedded.contents import Writer
from app.embedded.gate_auth import Verifier
from app.embedded.gate_body import Body, checksum_algorithm, read_chunks
from app.embedded.gate_keys import Keys
from app.embedded.gate_post import Form, receive_form
from app.embedded.gate_request import BodyStream, S3Request, check_key, object_path, parse_request
from app.embedded.moto_store import MotoStore
from app.embedded.s3_error import S3Error, invalid_argument, xml_document

log = logging.getLogger(__name__)

_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
_BUCKET_POSTS = ("delete",)
_OBJECT_POSTS = ("uploads", "uploadId")


class Gate:
    """A WSGI application: S3's object and bucket operations for requests signed with its keys.

    Must be served through GateRequestHandler.
    """

    def __init__(self, keys: Keys) -> None:
        self._verifier = Verifier(keys)
        self._store = MotoStore()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        stream = None
        try:
            request = parse_request(environ)
        except S3Error as error:
            response = error.response(environ["PATH_INFO"])
        else:
            stream = request.stream
            response = self._respond(request)
        response.headers["x-amz-request-id"] = secrets.token_hex(8).upper()
        answer = response(environ, start_response)
        return answer if stream is None else _then_drained(answer, stream)

    def _respond(self, request: S3Request) -> Response:
        rules = self._store.cors_rules(request.bucket)
        try:
            if request.method == "OPTIONS":
                return Response(headers=gate_cors.preflight(rules, request.headers))
            response = self._answer(request)
        except S3Error as error:
            response = error.response(request.path)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            message = "The embedded S3 failed; its log on standard error says how."
            response = S3Error(500, "InternalError", message).response(request.path)
        # Errors too: without these headers a page cannot tell a refusal from a dead network.
        response.headers.update(gate_cors.actual(rules, request.method, request.headers))
        return response

    def _answer(self, request: S3Request) -> Response:
        if request.method not in _METHODS:
            raise _method_not_allowed()
        if request.method == "POST" and not request.key and not request.query:
            return self._answer_form(request)
        self._verifier.verify_request(request, datetime.now(UTC))
        query = [pair for pair in request.query if not pair[0].lower().startswith("x-amz-")]
        overrides = _overrides(query)
        if request.method not in ("PUT", "POST"):
            answer = self._store.call(
                request.method, request.bucket, request.key, query, request.headers
            )
            if request.method == "HEAD" and answer.status_code == 200:
                answer.headers.update(overrides)  # which moto does for GET alone
            return answer
        headers = _without_object_checksum(request)
        # moto treats any other POST to a bucket as a form, and does not check its policy.
        known = _OBJECT_POSTS if request.key else _BUCKET_POSTS
        if request.method == "POST" and not any(map(request.has, known)):
            raise _method_not_allowed()
        if request.method == "PUT" and headers.get("if-none-match", "*") != "*":
            message = "If-None-Match on a write must be *."
            raise S3Error(501, "NotImplemented", message)
        body = Body(headers)
        body.read_from(request.stream)
        return self._store.call(
            *(request.method, request.bucket, request.key, query),
            _naming_checksum(headers),
            body.finish(),
        )

    def _answer_form(self, request: S3Request) -> Response:
        bucket = request.bucket
        form = receive_form(request, self._verifier.verify_policy, datetime.now(UTC))
        check_key(form.key)
        headers = _naming_checksum(form.headers())
        stored = self._store.call("PUT", bucket, form.key, (), headers, form.contents)
        if stored.status_code != 200:
            return stored
        if "tagging" in form.fields:
            tagged = self._tag(form, bucket, stored.headers.get("x-amz-version-id"))
            if tagged.status_code != 200:
                return tagged
        return _form_answer(request, form, stored)

    def _tag(self, form: Form, bucket: str, version_id: str | None) -> Response:
        """Set the form's tags, which are XML like the body of PutObjectTagging."""
        query = [("tagging", "")]
        if version_id is not None:
            query.append(("versionId", version_id))
        tags = Writer()
        tags.write(form.fields["tagging"].encode())
        return self._store.call("PUT", bucket, form.key, query, {}, tags.finish())


def _then_drained(answer: Iterable[bytes], stream: BodyStream) -> Iterator[bytes]:
    """The answer; then what is left of a body that was refused is read, in chunks: a client may
    not look for an answer before it has sent all, and werkzeug would read 10 MB at once.
    """
    yield from answer
    with contextlib.suppress(S3Error, OSError):
        for _ in read_chunks(stream):
            pass


def _method_not_allowed() -> S3Error:
    message = "The specified method is not allowed against this resource."
    return S3Error(405, "MethodNotAllowed", message)


def _overrides(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that `response-*` parameters set. Raises S3Error (400 InvalidArgument)."""
    found = {name: value for name, value in query if name.startswith("response-")}
    for name, value in found.items():
        if not value.isprintable():
            raise invalid_argument(f"{name} holds a character that a header cannot carry.")
    return {name.removeprefix("response-"): value for name, value in found.items()}


def _without_object_checksum(request: S3Request) -> Mapping[str, str]:
    """The headers, less those by which CompleteMultipartUpload describes the whole object."""
    if request.method == "POST" and request.has("uploadId"):
        return {
            name: value
            for name, value in request.headers.items()
            if not name.startswith("x-amz-checksum-")
        }
    return request.headers


def _naming_checksum(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, with the name of the checksum's algorithm: moto stores none without it."""
    algorithm = checksum_algorithm(headers)
    if algorithm is None:
        return dict(headers)
    return {**headers, "x-amz-sdk-checksum-algorithm": algorithm.upper()}


def _form_answer(request: S3Request, form: Form, stored: Response) -> Response:
    etag = stored.headers["ETag"]
    location = f"http://{request.headers.get('host')}{object_path(request.bucket, form.key)}"
    redirect = urlsplit(form.fields.get("success_action_redirect", ""))
    if redirect.scheme in ("http", "https"):
        query = [
            *parse_qsl(redirect.query, keep_blank_values=True),
            *(("bucket", request.bucket), ("key", form.key), ("etag", etag)),
        ]
        response = Response(status=303)
        location = redirect._replace(query=urlencode(query)).geturl()
    elif (status := form.fields.get("success_action_status")) == "201":
        elements = {"Location": location, "Bucket": request.bucket, "Key": form.key, "ETag": etag}
        body = xml_document("PostResponse", elements)
        response = Response(body, 201, content_type="application/xml")
    else:
        response = Response(status=200 if status == "200" else 204)
    response.headers["Location"] = location
    response.headers["ETag"] = etag
    for name, value in stored.headers.items():
        if name.lower().startswith("x-amz-"):
            response.headers[name] = value
    return response
