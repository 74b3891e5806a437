"""The URLs of objects that a column's value may stand for. Nothing is fetched.

Columns hold them as whoever filled them pleased: django-s3direct joins endpoint, bucket and key as
they are; browsers and SDKs encode the key (RFC 3986); S3's events and forms write spaces as "+";
django-storages keeps keys alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

MOST_CHARACTERS = 8192  # of a URL that `POST /v1/files/presign` takes

_URL = re.compile(r"(?:(https?):)?//([^/\s]+)/(.*)", re.IGNORECASE | re.DOTALL)
_HOST_AND_PATH = re.compile(r"(?:(?:[\w-]+\.)+[\w-]+(?::\d+)?|[\w-]+:\d+)/.", re.ASCII)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# What signed URLs have in their query, which is no part of a key then.
_SIGNATURE = re.compile(r"\?(?:.*&)?(?:X-Amz-|AWSAccessKeyId=|versionId=|response-)", re.I | re.S)


def readings(value: str, base: str | None = None, cut: Iterable[str] = ()) -> tuple[str, ...]:
    """The object URLs that `value` may mean, the likeliest first; mostly one.

    More than one where it has `%`, `+`, `?` or `#`, which belong to the key if it was never
    encoded. `base` is the URL under which keys lie; a value that begins with one of `cut` is a key
    behind it. Raises ValueError, whose message says what to do.
    """
    value = value.strip()
    head, tail = _split(value, base, cut)
    path, *_ = re.split("[?#]", tail, maxsplit=1)
    texts = [_decoded(path)]
    if "+" in path:
        texts.append(_decoded(path.replace("+", "%20")))
    if not _SIGNATURE.search(value):
        texts.append(tail)
    found = tuple(dict.fromkeys(head + quote(text, safe="/~") for text in texts if text))
    if not found:
        raise ValueError("It names no object: nothing follows the host.")
    if any(len(url) > MOST_CHARACTERS for url in found):
        raise ValueError(f"It is longer than any key: {len(value):,} characters.")
    return found


def _split(value: str, base: str | None, cut: Iterable[str]) -> tuple[str, str]:
    """The head, encoded already, which the key or the bucket follows, and the rest."""
    for prefix in cut:
        if value.startswith(prefix):
            return _needed(base), value[len(prefix) :]
    if match := _URL.fullmatch(value):
        scheme, host, tail = match.groups()
        return f"{(scheme or 'https').lower()}://{host}/", tail
    if "://" in value:
        raise ValueError("It is no http(s) URL: say with --cut what to take away before the key.")
    if base is None and _HOST_AND_PATH.match(value):
        host, _, tail = value.partition("/")
        return f"https://{host}/", tail
    return _needed(base), value.lstrip("/")


def _needed(base: str | None) -> str:
    if base is None:
        raise ValueError("It is a key: say with --base under which URL it lies.")
    return base if base.endswith("/") else f"{base}/"


def _decoded(path: str) -> str | None:
    """The path as a URL's, percent-decoded once; None if it is none."""
    raw = path.encode()
    if _BAD_ESCAPE.search(raw):
        return None
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
