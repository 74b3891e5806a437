"""Every failure that a client can be told about, one class each.

A problem is rendered as RFC 9457 `application/problem+json` by `app.http.problems`; its stable
`type` is `urn:claimcheck:problem:<slug>`, the slug being the class name in kebab case. The class
docstring is its sentence in the catalogue (docs/problems.md, which `make docs` makes from here) and
in OpenAPI; its arguments say status, title and further members. `detail` speaks of the one case.
"""

from app.problem import ConfigurationError as ConfigurationError
from app.problem import Problem as Problem


class InternalError(Problem, status=500, title="Internal error"):
    """The service failed; quote the request id to whoever runs it, and try again."""


class ValidationFailed(
    Problem, status=422, title="The request does not fit the API", members=("errors",)
):
    """The request does not fit the API; `errors` names each field and what is wrong with it."""


class MalformedRequest(Problem, status=400, title="The request could not be parsed"):
    """The request could not be parsed at all: send well-formed JSON as application/json."""


class RouteNotFound(Problem, status=404, title="No such route"):
    """No such path, or not with this method; the API is described at /docs."""


class MethodNotAllowed(Problem, status=405, title="Method not allowed"):
    """The path exists, but not with this method; `Allow` lists those it has."""


class RequestTooLarge(
    Problem, status=413, title="The request body is too large", members=("limit",)
):
    """The body is larger than this route reads; files go to the bucket, never through here."""


class HeadersTooLarge(
    Problem, status=431, title="The request's headers are too large", members=("limit",)
):
    """A header, or all of them and the address, are larger than is read; send shorter ones."""


class AddressTooLong(Problem, status=414, title="The address is too long", members=("limit",)):
    """Path or query are longer than any that this API has; what is long goes into a body."""


class HeadersOverdue(Problem, status=408, title="The request came too slowly"):
    """The request's headers were not there in time; send them at once."""


class TooManyConnections(Problem, status=503, title="Too many connections"):
    """The service has as many connections as it takes; try again in a moment."""


class CredentialRequired(
    Problem, status=401, title="A credential is required", challenge='Bearer realm="claimcheck"'
):
    """Say who you are: `Authorization: Bearer` with a JWT, an API key or an upload session."""


class InvalidToken(
    Problem,
    status=401,
    title="The token is not accepted",
    challenge='Bearer realm="claimcheck", error="invalid_token"',
):
    """The token is expired, revoked, for somebody else or not genuine; get a new one."""


class InsufficientScope(
    Problem,
    status=403,
    title="Scope missing",
    members=("scope",),
    challenge='Bearer realm="claimcheck", error="insufficient_scope"',
):
    """Your credential lacks the scope that this takes; `scope` names it."""


class DestinationForbidden(Problem, status=403, title="Not your destination"):
    """Your credential may not use this destination; GET /v1/destinations lists those it may."""


class ScopeNotGrantable(Problem, status=403, title="More than you have", members=("scopes",)):
    """Nobody can grant more than they hold: make the key with scopes that your credential has."""


class UploadSessionExhausted(Problem, status=403, title="The upload session is used up"):
    """The upload session has too few files or bytes left for this; ask for a new session."""


class LoopbackOnly(Problem, status=403, title="Only this machine may ask"):
    """With `auth = none` the service answers this machine alone, under a loopback host name."""


class InvalidFilename(Problem, status=422, title="The file name cannot be used"):
    """The file name cannot be used; rename the file and announce it again."""


class InvalidObjectKey(
    Problem, status=422, title="The object key cannot be used", members=("suggestion",)
):
    """The object key cannot be used; `suggestion`, where given, is one that can."""


class UnknownDestination(Problem, status=422, title="Unknown destination"):
    """No destination of that name is configured; GET /v1/destinations lists them."""


class ContentTypeNotAllowed(
    Problem, status=422, title="Content type not allowed", members=("allowed",)
):
    """The destination does not take this content type; `allowed` lists those it takes."""


class ExtensionNotAllowed(
    Problem, status=422, title="File name extension not allowed", members=("allowed",)
):
    """The destination does not take this file name extension; `allowed` lists those it takes."""


class SizeNotAllowed(
    Problem, status=422, title="File size not allowed", members=("min_size", "max_size")
):
    """The file is smaller or larger than the destination takes: see `min_size` and `max_size`."""


class FormNotOffered(Problem, status=422, title="No upload form for this destination"):
    """The destination takes no upload forms; in Uppy, set `shouldUseMultipart: true`."""


class PartsNotOffered(Problem, status=422, title="No parts of unknown size here"):
    """No parts of unknown size here; in Uppy set `shouldUseMultipart: false`, or say the size."""


class SizeRequired(Problem, status=422, title="The upload session takes no files of unknown size"):
    """The upload session takes no files of unknown size; say it, or make it with `unsized`."""


class ClientKeysNotAllowed(Problem, status=422, title="Keys are not the client's to choose here"):
    """No destination lets the client choose this key; announce the file with POST /v1/uploads."""


class KeyTaken(Problem, status=409, title="The key is taken"):
    """A file or an object with this key exists already; choose another key."""


class AlreadyMade(Problem, status=409, title="Made already", members=("id",)):
    """A request with this Idempotency-Key made `id` already: use that, or send another key."""


class RequestUnderWay(Problem, status=409, title="The same request is under way"):
    """Another request with this Idempotency-Key is under way: repeat yours after `Retry-After`."""


class IdempotencyKeyReused(Problem, status=422, title="The key is another request's"):
    """This Idempotency-Key came with another request before: use a new key for each request."""


class QuotaExceeded(
    Problem, status=403, title="No room", members=("level", "quota", "used", "reserved", "limit")
):
    """There is no room for this: delete files, confirm or cancel uploads, or ask for more room."""


class QuotasNotKept(Problem, status=409, title="Nothing is counted at this level"):
    """The settings limit nothing at this level, so no limit would hold; set CLAIMCHECK_QUOTA."""


class TooManyRequests(Problem, status=429, title="Too many requests"):
    """You ask too often, or were not let in too often: wait `Retry-After` seconds."""


class KeyExhausted(Problem, status=503, title="No free key found"):
    """No free key was found for this file name in several tries; try again."""


class UploadNotFound(Problem, status=404, title="No such upload"):
    """No upload of yours has this id or key."""


class UploadNotArrived(
    Problem,
    status=409,
    title="The bytes have not arrived",
    members=("missing_count", "missing_parts"),
):
    """Not all bytes are there yet: send the rest (`missing_parts`, if in parts), confirm again."""


class UploadRejected(
    Problem,
    status=422,
    title="The upload was rejected",
    members=("state", "content_type", "detected_type"),
):
    """The bucket holds something else than was announced, or too small parts; announce it anew."""


class UploadNotPending(
    Problem, status=409, title="The upload is no longer pending", members=("state",)
):
    """The upload is past the state in which this can be done; `state` says where it is."""


class UploadExpired(Problem, status=409, title="The upload has expired"):
    """The multipart upload began too long ago for anything more to be signed; announce it anew."""


class UploadNotMultipart(Problem, status=409, title="Not a multipart upload"):
    """The upload has no parts: send the bytes as `upload` in its announcement said."""


class ChecksumRequired(Problem, status=422, title="A checksum is required", members=("integrity",)):
    """The destination takes nothing without its MD5: say `checksum_md5`, or one for each part."""


class PartDiffers(Problem, status=409, title="The part is another", members=("part_numbers",)):
    """Other bytes were announced for a part before, so this is another file: announce it anew."""


class UnknownPart(Problem, status=422, title="No such part", members=("part_count",)):
    """The upload has no part of that number: they run from 1 to `part_count`."""


class InvalidGrant(Problem, status=403, title="The link has ended"):
    """The `content_url` has ended or is not ours: get the file's JSON again for a fresh one."""


class FileNotFound(Problem, status=404, title="No such file", members=("file_ids",)):
    """No file of yours has this id or URL."""


class ScanPending(Problem, status=409, title="The file is not scanned yet"):
    """The file is served once a virus scanner has found it clean: ask again after `Retry-After`."""


class FileQuarantined(Problem, status=410, title="The file is in quarantine"):
    """A virus scanner found something in the file, or could not scan it, so it is not served."""


class UrlNotOurs(Problem, status=422, title="Not the URL of one of our objects"):
    """The URL is not that of an object in one of the buckets that this service looks after."""


class FileInUse(Problem, status=409, title="The file is in use", members=("records",)):
    """Records hold this file: take it out of them first; `records` names those that are yours."""


class UnknownRecordField(Problem, status=404, title="No such record type or field"):
    """No such type of records is configured, or none with this field."""


class RecordNotFound(Problem, status=404, title="No such record"):
    """No record of yours has this type and id; it is made when a file is put into it."""


class PreconditionFailed(Problem, status=412, title="The record has changed"):
    """The record is not as If-Match or If-None-Match says: get it again, and decide anew."""


class WrongDestination(
    Problem, status=422, title="The field takes other files", members=("destination",)
):
    """The field takes files of another destination, which `destination` names."""


class TooManyFiles(
    Problem, status=422, title="Too many files for the field", members=("max_files",)
):
    """The field does not take so many files; `max_files` says how many it takes."""


class RemovalUnderWay(Problem, status=409, title="The file is being removed"):
    """Another request is removing this file; ask again in a moment."""


class ApiKeyNotFound(Problem, status=404, title="No such API key"):
    """There is no API key with this id among those that you may manage."""


class UploadSessionNotFound(Problem, status=404, title="No such upload session"):
    """There is no upload session with this id among those that you made."""


class FileRequestNotFound(Problem, status=404, title="No such request for files"):
    """No request for files of yours has this id, or your credential is not of a request's link."""


class WebhookNotFound(Problem, status=404, title="No such webhook"):
    """Your tenant has no webhook with this id; GET /v1/webhooks lists those it has."""


class DeliveryNotFound(Problem, status=404, title="No such delivery"):
    """The event was not for this webhook or is not kept any more; list the webhook's deliveries."""


class WebhookUrlRefused(Problem, status=422, title="Webhooks do not go to this URL"):
    """Webhooks go to https URLs of the public internet, and to networks that operators allow."""


class TooManyWebhooks(Problem, status=409, title="Too many webhooks"):
    """Your tenant has as many webhooks as one may have: delete one that is not needed."""


class WebhookOff(Problem, status=409, title="The webhook is off"):
    """The webhook is switched off; switch it on with `PATCH`, then try again."""


class WebhooksNotOffered(Problem, status=501, title="No webhooks here"):
    """This service has no CLAIMCHECK_SECRET_KEY, from which webhooks' secrets are made; set it."""


class InvalidCursor(Problem, status=400, title="Invalid cursor"):
    """The cursor was not made by this service for this list; start again without one."""


class CursorExpired(Problem, status=410, title="Events are missing"):
    """Events behind this cursor are not kept any more: read your files, then go on without it."""


class CredentialsNotOffered(Problem, status=501, title="No credentials for browsers"):
    """Browsers get no S3 credentials here; in Uppy, leave out `getTemporarySecurityCredentials`."""


class BucketUnavailable(Problem, status=503, title="The bucket is unavailable"):
    """The bucket did not answer, or answered with an error of its own; try again in a moment."""


class BucketRefused(Problem, status=502, title="The bucket refused the service"):
    """The bucket refuses this service's own request; operators must mend what `detail` names."""


class AnswerOverdue(Problem, status=503, title="The answer took too long"):
    """The database or the bucket took too long. Ask again; what was under way may have happened."""


class SigningUnavailable(Problem, status=503, title="Nothing can be signed now"):
    """The service has no S3 credentials at the moment, or they have ended: it can sign nothing."""


class IssuerUnavailable(Problem, status=503, title="The token's issuer is unavailable"):
    """The issuer's public keys cannot be had now, so no JWT can be checked; try again soon."""


class DatabaseUnavailable(Problem, status=503, title="The database is unavailable"):
    """The database did not answer; try again in a moment."""


class ExaminationUnderWay(Problem, status=503, title="The examination is under way"):
    """The stores are still being examined; ask again in a moment."""
