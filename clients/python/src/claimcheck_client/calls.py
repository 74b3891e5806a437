"""Requests to the service that are one each; docs/api.md describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from claimcheck_client.errors import Problem
from claimcheck_client.steps import Steps, request
from claimcheck_client.types import Events, Field, File, Link, Metadata, Record, Records, Session

T = TypeVar("T")
# A page of a list by its cursor: the items, and the cursor of the next, None at the end.
Pages: TypeAlias = Callable[[str | None], Steps[tuple[list[T], str | None]]]
_MOST_LINKS, _MOST_RECORDS = 1000, 200


def file(file_id: str) -> Steps[File]:
    """One file, with a fresh link."""
    found: File = yield from request("GET", f"/v1/files/{quote(file_id, safe='')}")
    return found


def files(
    *,
    destination: str | None = None,
    content_type: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    attached: bool | None = None,
    q: str | None = None,
    metadata: Metadata | None = None,
) -> Pages[File]:
    """The caller's files, newest first; those of which all that is given holds.

    `content_type` is exact or `image/*`; `attached=False`: in no record; `q`: words of the name.
    """
    by_metadata = {f"metadata.{name}": value for name, value in (metadata or {}).items()}
    given = {
        "destination": destination,
        "content_type": content_type,
        "created_after": created_after,
        "created_before": created_before,
        "attached": attached,
        "q": q,
        **by_metadata,
    }
    return _pages("/v1/files", given)


def _pages(path: str, params: Mapping[str, Any]) -> Pages[Any]:
    def page(cursor: str | None) -> Steps[tuple[list[Any], str | None]]:
        found = yield from request("GET", path, params={**params, "limit": 100, "cursor": cursor})
        return found["items"], found["next_cursor"]

    return page


def change(
    file_id: str,
    *,
    filename: str | None = None,
    metadata: Mapping[str, str | bool | int | float | None] | None = None,
) -> Steps[File]:
    """Change a file's name or metadata; of metadata, None takes one out, and others stay."""
    given = {"filename": filename, "metadata": metadata}
    body = {name: value for name, value in given.items() if value is not None}
    found: File = yield from request("PATCH", f"/v1/files/{quote(file_id, safe='')}", json=body)
    return found


def delete(file_id: str, *, with_object: bool = False) -> Steps[None]:
    """Forget a file. Its object stays in the bucket, unless `with_object`."""
    params = {"object": "delete" if with_object else None}
    yield from request("DELETE", f"/v1/files/{quote(file_id, safe='')}", params=params)


def link(file_id: str) -> Steps[str]:
    """A link that reads a file until it expires. Raises Problem where nobody may read it."""
    [found] = yield from links([file_id])
    if "problem" in found:
        raise Problem(found["problem"]["status"], found["problem"], None)
    return found["presigned_url"]


def links(
    ids: Iterable[str] | None = None, *, urls: Iterable[str] | None = None
) -> Steps[list[Link]]:
    """Links to files by id, or by the URLs that a back end keeps, in order.

    What is no file of the caller's has a `problem` instead. Of 1,000 each one request is made.
    """
    name, wanted = ("ids", iter(ids)) if ids is not None else ("urls", iter(urls or ()))
    found: list[Link] = []
    for some in _batches(wanted, _MOST_LINKS):
        answer = yield from request("POST", "/v1/files/presign", json={name: some})
        found += answer["items"]
    return found


def _batches(items: Iterator[str], most: int) -> Iterator[list[str]]:
    while some := list(islice(items, most)):
        yield some


def destinations() -> Steps[list[dict[str, Any]]]:
    """The destinations that the caller may use, and what is allowed there."""
    found = yield from request("GET", "/v1/destinations")
    items: list[dict[str, Any]] = found["items"]
    return items


def get_record(type: str, id: str) -> Steps[Record]:  # noqa: A002 - the API's names
    """A record, each file with a fresh link."""
    found: Record = yield from request("GET", _record(type, id))
    return found


def get_records(
    type: str,  # noqa: A002
    ids: Iterable[str],
    *,
    fields: Iterable[str] | None = None,
) -> Steps[Records]:
    """Records of a type in the order asked for, with some fields alone where `fields` are given.

    Of 200 each one request is made.
    """
    wanted = None if fields is None else list(fields)
    all_of_them = Records(items=[], missing=[])
    for some in _batches(iter(ids), _MOST_RECORDS):
        params = {"ids": some, "fields": wanted}
        found = yield from request("GET", f"/v1/records/{quote(type, safe='')}", params=params)
        all_of_them["items"] += found["items"]
        all_of_them["missing"] += found["missing"]
    return all_of_them


def put_record(
    type: str,  # noqa: A002
    id: str,  # noqa: A002
    field: str,
    file_id: str | None = None,
    *,
    file_ids: Iterable[str] | None = None,
    if_match: str | None = None,
) -> Steps[Record]:
    """Put a file into a field of a record, or `file_ids` into one that takes many.

    With `if_match`, the record's `etag`, only if nobody else has changed it since.
    """
    body = {"file_id": file_id} if file_ids is None else {"file_ids": list(file_ids)}
    path = f"{_record(type, id)}/{quote(field, safe='')}"
    found: Record = yield from request("PUT", path, json=body, headers=_matching(if_match))
    return found


def empty_record(
    type: str,  # noqa: A002
    id: str,  # noqa: A002
    field: str | None = None,
    *,
    if_match: str | None = None,
) -> Steps[None]:
    """Take out what a field holds; without a field, forget the record. Files stay."""
    path = _record(type, id) + ("" if field is None else f"/{quote(field, safe='')}")
    yield from request("DELETE", path, headers=_matching(if_match))


def _record(type: str, id: str) -> str:  # noqa: A002
    return f"/v1/records/{quote(type, safe='')}/{quote(id, safe='')}"


def _matching(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"if-match": etag}


def mint(
    destination: str,
    *,
    owner: str | None = None,
    max_files: int = 1,
    max_bytes: int | None = None,
    expires_in: int = 3600,
    attach_to: Field | None = None,
) -> Steps[Session]:
    """Make an upload session for a browser; `token` is for the browser. `expires_in`: seconds."""
    given = {"owner": owner, "max_bytes": max_bytes, "attach_to": attach_to}
    body: dict[str, Any] = {
        "destination": destination,
        "max_files": max_files,
        "expires_in": expires_in,
        **{name: value for name, value in given.items() if value is not None},
    }
    found: Session = yield from request("POST", "/v1/upload-sessions", json=body, once=True)
    return found


def sessions() -> Pages[Session]:
    """The upload sessions that the caller made, newest first."""
    return _pages("/v1/upload-sessions", {})


def get_session(session_id: str) -> Steps[Session]:
    """How much of an upload session is used."""
    found: Session = yield from request("GET", f"/v1/upload-sessions/{quote(session_id, safe='')}")
    return found


def end_session(session_id: str) -> Steps[None]:
    """End an upload session."""
    yield from request("DELETE", f"/v1/upload-sessions/{quote(session_id, safe='')}")


def events(
    after: str | None = None,
    *,
    types: Iterable[str] | None = None,
    limit: int = 100,
    wait: int = 20,
) -> Steps[Events]:
    """Events after a cursor; None: from the beginning of the feed, "latest": none, but its end.

    Where there are none it is answered after `wait` seconds (up to 20), with a cursor as well.
    """
    wanted = None if types is None else list(types)
    params = {"after": after, "types": wanted, "limit": limit, "wait": wait}
    found: Events = yield from request("GET", "/v1/events", params=params)
    return found
