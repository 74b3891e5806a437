"""Send a request to a bucket that our own signer signs: about an object, or for a page of a list.

It goes to the endpoint for the service, never to the public one. Refusals are raised as botocore's
ClientError, which `app.store.client.translated` turns into problems.
"""

import asyncio
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.core.object_url import BucketAddress
from app.core.sigv4 import Credentials, Method, UrlSigner
from app.store.client import Buckets, error_code, error_status
from app.store.credentials import utc_now
from app.store.refusals import PASSING

if TYPE_CHECKING:
    from app.store.web import Answer

# A URL works for as long as S3 takes a signature in a header (15 minutes): a clock that is behind
# by less does no harm.
_SIGNED_FOR: Final = 15 * 60
# As in botocore's standard mode, which the other calls are sent with: one repetition, after a
# random part of a second (botocore.retries.standard).
_ATTEMPTS: Final = 2
_PASSING_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES: Final = PASSING | {"SlowDown", "PriorRequestNotComplete"}
# A URL of another region is answered so, with the right one (AWS, userguide/Redirects).
_ELSEWHERE: Final = frozenset({301, 302, 307, 400})
_PLAIN: Final = {"Accept-Encoding": "identity"}
_WITH_CHECKSUM: Final = {"x-amz-checksum-mode": "ENABLED"}
# What an XML document begins with, and the name of its root.
_ROOT: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?[^>]*\?>\s*)?<([\w.:-]+)")
# Blanks are stripped after: a pattern that leaves them out takes hours of 16 KiB of them.
_CODE: Final = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE: Final = re.compile(rb"<Message>([^<]*)</Message>")
_REGION: Final = re.compile(rb"<Region>\s*([A-Za-z0-9_-]+)\s*</Region>")

Headers = Mapping[str, str]


class Request(NamedTuple):
    """A request about the object of the key; None: about the bucket, whose answer is an XML
    document. `query` is unescaped.

    With `checksum` the answer is to say the object's. `part` of it is asked for, else of the body
    `length` bytes are read at most.
    """

    method: Literal["GET", "HEAD"]
    key: str | None
    query: dict[str, str] | None = None
    checksum: bool = False
    part: slice | None = None
    length: int = 0


async def send(
    buckets: Buckets, destination: Destination, request: Request
) -> tuple[Headers, bytes]:
    """The headers of the answer, and what was asked for of its body.

    Raises ClientError for any but a 2xx, UnsignableValue, and what the network does.
    """
    own = region = destination.region
    attempt = 1
    while True:
        try:
            return await _send_once(buckets, destination, region, request)
        except ClientError as error:
            elsewhere = error.response["ResponseMetadata"].get("Region", own)
            if region == own != elsewhere:
                region = elsewhere
                continue
            if attempt == _ATTEMPTS or not _passes(error):
                raise
        except (HTTPClientError, TimeoutError, OSError):
            if attempt == _ATTEMPTS:
                raise
        attempt += 1
        await asyncio.sleep(random.random())  # noqa: S311


def _passes(error: ClientError) -> bool:
    """Whether the same request may succeed in a moment."""
    return error_status(error) in _PASSING_STATUSES or error_code(error) in _PASSING_CODES


async def _send_once(
    buckets: Buckets, destination: Destination, region: str, request: Request
) -> tuple[Headers, bytes]:
    method, key, query, checksum, part, length = request
    address = destination.service_address(region)
    credentials = await buckets.credentials()
    signer = _signer(address, credentials, utc_now().replace(microsecond=0), method, checksum)
    url = signer.bucket_url(query or {}) if key is None else signer.url(key, query)
    headers = _PLAIN | _WITH_CHECKSUM if checksum else _PLAIN
    if part is not None:
        length = part.stop - part.start
        headers = headers | {"Range": f"bytes={part.start}-{part.stop - 1}"}
    # Of a store that knows no ranges no more is taken either.
    answer = await (await buckets.web()).ask(method, url, headers, length)
    if answer.ok and key is None:
        answer = _document(answer)
    if answer.ok:
        return answer.headers, answer.start
    error = _error(answer, request)
    buckets.note_clock(destination, error.response)
    raise error


def _document(answer: "Answer") -> "Answer":
    """The answer, or a 500 in its place if it is an error in spite of its status, as botocore has
    it. Raises HTTPClientError for a document that does not reach its end.
    """
    root = _ROOT.match(answer.start)
    if root is None or not answer.start.rstrip().endswith(b"</%b>" % root[1]):
        raise HTTPClientError(error="the answer is no whole XML document")
    return replace(answer, status=500) if root[1] == b"Error" else answer


# A second's looks at many objects share it (`python -m bench adopt`).
@lru_cache(maxsize=32)
def _signer(
    address: BucketAddress, credentials: Credentials, now: datetime, method: Method, checksum: bool
) -> UrlSigner:
    # What begins with x-amz- has to be signed (AWS, API/sigv4-query-string-auth).
    headers = _WITH_CHECKSUM if checksum else None
    return UrlSigner(
        address, credentials, now=now, expires_in=_SIGNED_FOR, method=method, headers=headers
    )


def _error(answer: "Answer", request: Request) -> ClientError:
    """The refusal as botocore would parse it, with the bucket's region where it is another one.

    An answer without a body, as every one to a HEAD, has its status for a code.
    """
    code, message = _text(_CODE, answer), _text(_MESSAGE, answer)
    told = _REGION.search(answer.start)
    metadata: dict[str, Any] = {
        "HTTPStatusCode": answer.status,
        "HTTPHeaders": {name.lower(): value for name, value in answer.headers.items()},
    }
    region = answer.headers.get("x-amz-bucket-region") or (told and told[1].decode())
    if region and answer.status in _ELSEWHERE:
        metadata["Region"] = region
    error = {
        "Code": code or str(answer.status),
        "Message": answer.reason if message is None else message,
    }
    operation = f"{request.method.capitalize()}{'Bucket' if request.key is None else 'Object'}"
    return ClientError({"Error": error, "ResponseMetadata": metadata}, operation)


def _text(element: re.Pattern[bytes], answer: "Answer") -> str | None:
    found = element.search(answer.start)
    return found and found[1].strip().decode("utf-8", "replace")
