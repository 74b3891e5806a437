"""Every failure that a client can be told about, one class each.

A problem is rendered as RFC 9457 `application/problem+json` by `app.http.problems`; its stable
`type` is `urn:claimcheck:problem:<slug>`, the slug being the class name in kebab case. The class
docstring is its sentence in the catalogue (docs/problems.md, which `make docs` makes from here) and
in OpenAPI; `detail` speaks of the one case.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar


class ConfigurationError(Exception):
    """A setting is wrong, missing or misspelt; the message names it. The process must not start."""


class Problem(Exception):
    """Base of all problems: `status` and `title` are the class's, `detail` the instance's.

    `extensions` are further members of the JSON (RFC 9457 section 3.2), of those that the class
    names in `members`, and must be JSON values; `retry_after` (seconds) becomes the `Retry-After`
    header, `challenge` the `WWW-Authenticate`; `headers` are further ones.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    members: ClassVar[tuple[str, ...]] = ()
    challenge: ClassVar[str | None] = None

    def __init__(
        self,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.headers = headers or {}
        self.extensions = extensions

    @classmethod
    def slug(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def type_uri(cls) -> str:
        return f"urn:claimcheck:problem:{cls.slug()}"


class InternalError(Problem):
    """The service failed; quote the request id to whoever runs it, and try again."""


class ValidationFailed(Problem):
    """The request does not fit the API; `errors` names each field and what is wrong with it."""

    status, title = 422, "The request does not fit the API"
    members = ("errors",)


class MalformedRequest(Problem):
    """The request could not be parsed at all: send well-formed JSON as application/json."""

    status, title = 400, "The request could not be parsed"


class RouteNotFound(Problem):
    """No such path, or not with this method; the API is described at /docs."""

    status, title = 404, "No such route"


class MethodNotAllowed(Problem):
    """The path exists, but not with this method; `Allow` lists those it has."""

    status, title = 405, "Method not allowed"


class RequestTooLarge(Problem):
    """The body is larger than this route reads; files go to the bucket, never through here."""

    status, title = 413, "The request body is too large"
    members = ("limit",)


class CredentialRequired(Problem):
    """Say who you are: `Authorization: Bearer` with a JWT, an API key or an upload session."""

    status, title = 401, "A credential is required"
    challenge = 'Bearer realm="claimcheck"'


class InvalidToken(Problem):
    """The token is expired, revoked, for somebody else or not genuine; get a new one."""

    status, title = 401, "The token is not accepted"
    challenge = 'Bearer realm="claimcheck", error="invalid_token"'


class InsufficientScope(Problem):
    """Your credential lacks the scope that this takes; `scope` names it."""

    status, title = 403, "Scope missing"
    members = ("scope",)
    challenge = 'Bearer realm="claimcheck", error="insufficient_scope"'


class DestinationForbidden(Problem):
    """Your credential may not use this destination; GET /v1/destinations lists those it may."""

    status, title = 403, "Not your destination"


class ScopeNotGrantable(Problem):
    """Nobody can grant more than they hold: make the key with scopes that your credential has."""

    status, title = 403, "More than you have"
    members = ("scopes",)


class UploadSessionExhausted(Problem):
    """The upload session has too few files or bytes left for this; ask for a new session."""

    status, title = 403, "The upload session is used up"


class LoopbackOnly(Problem):
    """With `auth = none` the service answers this machine alone, under a loopback host name."""

    status, title = 403, "Only this machine may ask"


class InvalidFilename(Problem):
    """The file name cannot be used; rename the file and announce it again."""

    status, title = 422, "The file name cannot be used"


class InvalidObjectKey(Problem):
    """The object key cannot be used; `suggestion`, where given, is one that can."""

    status, title = 422, "The object key cannot be used"
    members = ("suggestion",)


class UnknownDestination(Problem):
    """No destination of that name is configured; GET /v1/destinations lists them."""

    status, title = 422, "Unknown destination"


class ContentTypeNotAllowed(Problem):
    """The destination does not take this content type; `allowed` lists those it takes."""

    status, title = 422, "Content type not allowed"
    members = ("allowed",)


class ExtensionNotAllowed(Problem):
    """The destination does not take this file name extension; `allowed` lists those it takes."""

    status, title = 422, "File name extension not allowed"
    members = ("allowed",)


class SizeNotAllowed(Problem):
    """The file is smaller or larger than the destination takes: see `min_size` and `max_size`."""

    status, title = 422, "File size not allowed"
    members = ("min_size", "max_size")


class FormNotOffered(Problem):
    """The destination takes no upload forms; in Uppy, set `shouldUseMultipart: true`."""

    status, title = 422, "No upload form for this destination"


class PartsNotOffered(Problem):
    """The destination takes no parts of unknown size; in Uppy, set `shouldUseMultipart: false`."""

    status, title = 422, "No parts of unknown size for this destination"


class ClientKeysNotAllowed(Problem):
    """No destination lets the client choose this key; announce the file with POST /v1/uploads."""

    status, title = 422, "Keys are not the client's to choose here"


class KeyTaken(Problem):
    """A file or an object with this key exists already; choose another key."""

    status, title = 409, "The key is taken"


class TooManyPending(Problem):
    """You have too many unfinished uploads: confirm or cancel some, or let them expire."""

    status, title = 429, "Too many pending uploads"


class TooManyRequests(Problem):
    """You ask too often, or were not let in too often: wait `Retry-After` seconds."""

    status, title = 429, "Too many requests"


class KeyExhausted(Problem):
    """No free key was found for this file name in several tries; try again."""

    status, title = 503, "No free key found"


class UploadNotFound(Problem):
    """No upload of yours has this id or key."""

    status, title = 404, "No such upload"


class UploadNotArrived(Problem):
    """Not all bytes are there yet: send the rest (`missing_parts`, if in parts), confirm again."""

    status, title = 409, "The bytes have not arrived"
    members = ("missing_count", "missing_parts")


class UploadRejected(Problem):
    """What the bucket holds is not what was announced; announce the file anew."""

    status, title = 422, "The upload was rejected"
    members = ("state", "content_type", "detected_type")


class UploadNotPending(Problem):
    """The upload is past the state in which this can be done; `state` says where it is."""

    status, title = 409, "The upload is no longer pending"
    members = ("state",)


class UploadExpired(Problem):
    """The multipart upload began too long ago for anything more to be signed; announce it anew."""

    status, title = 409, "The upload has expired"


class UploadNotMultipart(Problem):
    """The upload has no parts: send the bytes as `upload` in its announcement said."""

    status, title = 409, "Not a multipart upload"


class UnknownPart(Problem):
    """The upload has no part of that number: they run from 1 to `part_count`."""

    status, title = 422, "No such part"
    members = ("part_count",)


class InvalidGrant(Problem):
    """The `content_url` has ended or is not ours: get the file's JSON again for a fresh one."""

    status, title = 403, "The link has ended"


class FileNotFound(Problem):
    """No file of yours has this id or URL."""

    status, title = 404, "No such file"
    members = ("file_ids",)


class UrlNotOurs(Problem):
    """The URL is not that of an object in one of the buckets that this service looks after."""

    status, title = 422, "Not the URL of one of our objects"


class FileInUse(Problem):
    """Records hold this file: take it out of them first; `records` names those that are yours."""

    status, title = 409, "The file is in use"
    members = ("records",)


class UnknownRecordField(Problem):
    """No such type of records is configured, or none with this field."""

    status, title = 404, "No such record type or field"


class RecordNotFound(Problem):
    """No record of yours has this type and id; it is made when a file is put into it."""

    status, title = 404, "No such record"


class PreconditionFailed(Problem):
    """The record is not as If-Match or If-None-Match says: get it again, and decide anew."""

    status, title = 412, "The record has changed"


class WrongDestination(Problem):
    """The field takes files of another destination, which `destination` names."""

    status, title = 422, "The field takes other files"
    members = ("destination",)


class TooManyFiles(Problem):
    """The field does not take so many files; `max_files` says how many it takes."""

    status, title = 422, "Too many files for the field"
    members = ("max_files",)


class RemovalUnderWay(Problem):
    """Another request is removing this file; ask again in a moment."""

    status, title = 409, "The file is being removed"


class ApiKeyNotFound(Problem):
    """There is no API key with this id among those that you may manage."""

    status, title = 404, "No such API key"


class UploadSessionNotFound(Problem):
    """There is no upload session with this id among those that you made."""

    status, title = 404, "No such upload session"


class InvalidCursor(Problem):
    """The cursor was not made by this service for this list; start again without one."""

    status, title = 400, "Invalid cursor"


class CredentialsNotOffered(Problem):
    """Browsers get no S3 credentials here; in Uppy, leave out `getTemporarySecurityCredentials`."""

    status, title = 501, "No credentials for browsers"


class BucketUnavailable(Problem):
    """The bucket did not answer, or answered with an error of its own; try again in a moment."""

    status, title = 503, "The bucket is unavailable"


class BucketRefused(Problem):
    """The bucket refuses this service's own request: whoever runs it must mend its S3 rights."""

    status, title = 502, "The bucket refused the service"


class AnswerOverdue(Problem):
    """The database or the bucket took too long. Ask again; what was under way may have happened."""

    status, title = 503, "The answer took too long"


class SigningUnavailable(Problem):
    """The service has no valid S3 credentials at the moment, so it can sign nothing."""

    status, title = 503, "Nothing can be signed now"


class IssuerUnavailable(Problem):
    """The issuer's public keys cannot be had now, so no JWT can be checked; try again soon."""

    status, title = 503, "The token's issuer is unavailable"


class DatabaseUnavailable(Problem):
    """The database did not answer; try again in a moment."""

    status, title = 503, "The database is unavailable"


class ExaminationUnderWay(Problem):
    """The stores are still being examined; ask again in a moment."""

    status, title = 503, "The examination is under way"
