"""The cost of signing one request, in microseconds: ours, the arithmetic alone, and the others.

Each way signs the same requests. They take turns, in short spells, and the fastest spell counts:
noise only ever adds.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Any, Final, Literal

import boto3
from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials

from app.core.delivery import content_disposition
from app.core.destination import Destination
from app.core.object_url import bucket_address
from app.core.sigv4 import Credentials, UrlSigner, presign_post, presign_url
from app.store.session import new_session, open_client
from bench.results import Results

_REGION, _BUCKET = "us-east-1", "bench-bucket"
_ACCESS, _SECRET = "AKIDEXAMPLE000000001", "bench/secret+key000000000000000000000001"
_EXPIRES: Final = 3600
# More than any cache of ours holds: each file has a key and a name of its own.
_FILES: Final = 3000
_KEYS: Final = [f"images/11-22-2026_19-07-09-{i:06}--holiday-{i}.png" for i in range(_FILES)]
_HEADERS: Final = {
    "content-type": "image/png",
    "content-length": "48213",
    "if-none-match": "*",
    "x-amz-meta-claimcheck-id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
}
_FIELDS: Final = {
    "content-type": "image/png",
    "x-amz-meta-claimcheck-id": _HEADERS["x-amz-meta-claimcheck-id"],
    "success_action_status": "201",
}
_SIZES: Final = (48213, 48213)
_ADDRESS: Final = bucket_address(None, _BUCKET, _REGION)
_BOTOCORE: Final = BotocoreCredentials(_ACCESS, _SECRET)
_TUTORIAL: Final = "the tutorial: session and client per URL"
_SESSION: Final = {
    "aws_access_key_id": _ACCESS,
    "aws_secret_access_key": _SECRET,
    "region_name": _REGION,
}

Query = Mapping[str, str] | None
Way = Callable[[str, Query], object]


def measure(results: Results, *, spells: int, say: Callable[[str], None]) -> None:
    """Add a section for each kind of request."""
    loop = asyncio.new_event_loop()
    destination = Destination(name="bench", bucket=_BUCKET, region=_REGION)
    session = new_session(aws_access_key_id=_ACCESS, aws_secret_access_key=_SECRET)
    context = open_client(session, destination)
    client = loop.run_until_complete(context.__aenter__())
    try:
        for kind, (ways, queries) in _kinds(client, loop).items():
            section = f"signing: {kind}"
            say(section)
            for name, micros in _fastest(ways, queries, spells).items():
                results.add(section, name, micros, "us")
            results.compare(
                section, "claimcheck", *(way for way in ways if "claimcheck" not in way)
            )
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()


def _fastest(ways: dict[str, Way], queries: list[Query], spells: int) -> dict[str, float]:
    requests = cycle(list(zip(_KEYS, queries, strict=True)))
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(spells + 1):
        for name, way in ways.items():
            # About 20 ms a spell, whatever a call costs; the first one only finds the count.
            count = 1 if not turn else max(1, min(10_000, int(20_000 / best[name])))
            start = time.perf_counter()
            for _ in range(count):
                way(*next(requests))
            micros = (time.perf_counter() - start) / count * 1e6
            best[name] = min(best[name], micros)
    return best


def _kinds(
    client: Any, loop: asyncio.AbstractEventLoop
) -> dict[str, tuple[dict[str, Way], list[Query]]]:
    """For each kind of request the ways to sign it, and the query of each file's request."""
    sync = boto3.client("s3", **_SESSION, config=Config(signature_version="s3v4"))
    plain: list[Query] = [None] * _FILES
    named: list[Query] = [
        {
            "response-content-disposition": content_disposition("attachment", f"Αναφορά {i}.pdf"),
            "response-content-type": "application/octet-stream",
        }
        for i in range(_FILES)
    ]
    put = {
        "ContentType": _HEADERS["content-type"],
        "ContentLength": 48213,
        "IfNoneMatch": "*",
        "Metadata": {"claimcheck-id": _HEADERS["x-amz-meta-claimcheck-id"]},
    }
    reading = _url_ways("GET", {}, None, sync, client, loop)
    return {
        "GET": (reading | {"floor": _floor(None)}, plain),
        "GET, non-Latin disposition": (reading | {"floor": _floor(named[0])}, named),
        "PUT": (_url_ways("PUT", put, _HEADERS, sync, client, loop), plain),
        "POST": (_post_ways(sync, client, loop), plain),
    }


def _url_ways(
    method: Literal["GET", "PUT"],
    params: dict[str, Any],
    headers: dict[str, str] | None,
    sync: Any,
    client: Any,
    loop: asyncio.AbstractEventLoop,
) -> dict[str, Way]:
    credentials, now = Credentials(_ACCESS, _SECRET), datetime.now(UTC).replace(microsecond=0)
    operation = f"{method.lower()}_object"
    seconds = cycle(range(50_000))

    def ours_at(now: datetime, key: str, query: Query) -> str:
        return presign_url(
            method,
            _ADDRESS,
            key,
            credentials=credentials,
            now=now,
            expires_in=_EXPIRES,
            headers=headers,
            query=query,
        )

    def arguments(key: str, query: Query) -> dict[str, Any]:
        found = {"Bucket": _BUCKET, "Key": key, **params}
        if query:
            found["ResponseContentDisposition"] = query["response-content-disposition"]
            found["ResponseContentType"] = query["response-content-type"]
        return found

    def alone(key: str, query: Query) -> str:
        return ours_at(now + timedelta(seconds=next(seconds)), key, query)

    def botocore(key: str, query: Query) -> object:
        url = f"https://{_ADDRESS.host}/{key}"
        request = AWSRequest(method, url, headers or {}, params=dict(query or {}))
        S3SigV4QueryAuth(_BOTOCORE, "s3", _REGION, expires=_EXPIRES).add_auth(request)
        return request.url

    def with_client(key: str, query: Query) -> object:
        return sync.generate_presigned_url(operation, arguments(key, query), _EXPIRES)

    def with_aioboto3(key: str, query: Query) -> object:
        return client.generate_presigned_url(operation, arguments(key, query), _EXPIRES)

    def session_each(key: str, query: Query) -> object:
        s3 = boto3.session.Session(**_SESSION).client("s3")
        return s3.generate_presigned_url(operation, arguments(key, query), _EXPIRES)

    many = UrlSigner(
        _ADDRESS, credentials, now=now, expires_in=_EXPIRES, method=method, headers=headers
    )
    return {
        "claimcheck": partial(ours_at, now),
        "claimcheck, in a list": many.url,
        "claimcheck, the only one in its second": alone,
        "floor": _floor(None),
        "botocore's auth class": botocore,
        "boto3, one client": with_client,
        "aioboto3": _awaited(with_aioboto3, loop),
        _TUTORIAL: session_each,
    }


def _post_ways(sync: Any, client: Any, loop: asyncio.AbstractEventLoop) -> dict[str, Way]:
    credentials, now = Credentials(_ACCESS, _SECRET), datetime.now(UTC)
    conditions: list[Any] = [{name: value} for name, value in _FIELDS.items()]
    conditions.append(["content-length-range", *_SIZES])

    def ours(key: str, _: Query) -> dict[str, str]:
        return presign_post(
            _ADDRESS,
            key,
            credentials=credentials,
            now=now,
            expires_in=_EXPIRES,
            fields=_FIELDS,
            size_range=_SIZES,
        )[1]

    def botocore(key: str, _: Query) -> object:
        request = AWSRequest("POST", f"https://{_ADDRESS.host}/")
        request.context["s3-presign-post-fields"] = {"key": key, **_FIELDS}
        request.context["s3-presign-post-policy"] = {
            "expiration": "2026-11-22T20:00:00Z",
            "conditions": [{"bucket": _BUCKET}, {"key": key}, *conditions],
        }
        S3SigV4PostAuth(_BOTOCORE, "s3", _REGION).add_auth(request)
        return request

    def form(key: str) -> tuple[Any, ...]:
        # botocore adds to what it is given.
        return _BUCKET, key, dict(_FIELDS), list(conditions), _EXPIRES

    def session_each(key: str, _: Query) -> object:
        s3 = boto3.session.Session(**_SESSION).client("s3")
        return s3.generate_presigned_post(*form(key))

    # A policy is signed as it is: one HMAC over it, and no other hash.
    policy, day_key = ours(_KEYS[0], None)["policy"].encode(), bytes(32)
    return {
        "claimcheck": ours,
        "floor": lambda _key, _query: hmac.digest(day_key, policy, "sha256").hex(),
        "botocore's auth class": botocore,
        "boto3, one client": lambda key, _: sync.generate_presigned_post(*form(key)),
        "aioboto3": _awaited(lambda key, _: client.generate_presigned_post(*form(key)), loop),
        _TUTORIAL: session_each,
    }


def _floor(query: Query) -> Way:
    """SHA-256 of a canonical request of this length, then HMAC of the string to sign."""
    credentials = Credentials(_ACCESS, _SECRET)
    url = presign_url(
        "GET",
        _ADDRESS,
        _KEYS[0],
        credentials=credentials,
        now=datetime.now(UTC),
        expires_in=_EXPIRES,
        query=query,
    )
    signed = url.removeprefix(_ADDRESS.origin).partition("&X-Amz-Signature")[0]
    request = f"GET\n{signed}\nhost:{_ADDRESS.host}\n\nhost\nUNSIGNED-PAYLOAD".encode()
    to_sign = b"AWS4-HMAC-SHA256\n20261122T190711Z\n20261122/us-east-1/s3/aws4_request\n"
    day_key = bytes(32)

    def arithmetic(_key: str, _query: Query) -> str:
        digest = hashlib.sha256(request).hexdigest().encode()
        return hmac.digest(day_key, to_sign + digest, "sha256").hex()

    return arithmetic


def _awaited(way: Callable[[str, Query], Any], loop: asyncio.AbstractEventLoop) -> Way:
    """Drive the coroutine by hand: with static keys it never waits, so one step ends it.

    The event loop's own work is left out, in favour of the peer.
    """

    def run(key: str, query: Query) -> object:
        asyncio._set_running_loop(loop)
        try:
            way(key, query).send(None)
        except StopIteration as end:
            return end.value
        finally:
            asyncio._set_running_loop(None)
        raise AssertionError("aioboto3 waited for something")

    return run
