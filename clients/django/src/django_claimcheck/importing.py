"""Old columns become ClaimcheckFields, and back: what `manage.py claimcheck_import` does.

The service is asked for files by the URLs that the column may mean, a batch of rows in one request.
Each row is looked at once, in the order of its key, and changed only where it still holds what was
read. Whatever was done stays done, so that it can be stopped and called again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from urllib.parse import unquote

from claimcheck_client import Client, Problem
from django.db import transaction
from django.db.models import Model, Q, QuerySet

from django_claimcheck.fields import ClaimcheckField
from django_claimcheck.object_urls import readings
from django_claimcheck.value import is_id

_BATCH = 500  # rows
_MOST = 1000  # files that the service tells of at once

_File = dict[str, Any] | None


class Outcome(Enum):
    """The end of a look at a row."""

    IMPORTED = "imported"  # it has its file now; on a dry run, it would have
    LISTED = "listed"  # it is in the list for `claimcheck adopt`
    KEPT = "kept"  # it has a file already
    EMPTY = "empty"  # there is nothing to import
    UNKNOWN = "unknown"  # the service has no such file
    AMBIGUOUS = "ambiguous"  # the value may mean several files
    REFUSED = "refused"  # the value can be no file's, or the file cannot be the row's
    CHANGED = "changed"  # somebody has changed the row meanwhile


DONE = frozenset({Outcome.IMPORTED, Outcome.LISTED, Outcome.KEPT, Outcome.EMPTY})


@dataclass(frozen=True)
class Job:
    """The rows of a model, its ClaimcheckField, and the name of the old one, which may be the same.

    `base` and `cut` are those of `readings`; `anyway`: take files of other destinations, too.
    """

    rows: QuerySet[Model]
    field: ClaimcheckField
    column: str
    base: str | None = None
    cut: tuple[str, ...] = ()
    anyway: bool = False

    @property
    def is_in_place(self) -> bool:
        return self.field.name == self.column

    def readings(self, value: str) -> tuple[str, ...]:
        return readings(value, self.base, self.cut)


@dataclass(frozen=True)
class Row:
    """A row's key, its old column, its field, and what else was asked for."""

    pk: Any
    old: str
    value: str
    more: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Said:
    """The outcome of a row, with its file's id, or the `reason` why it has none."""

    row: Row
    outcome: Outcome
    reason: str | None = None
    file_id: str | None = None
    new: str = ""  # to store


def listed(job: Job, lookups: Sequence[str] = ()) -> Iterator[tuple[Said, tuple[str, ...]]]:
    """Each row, and the URLs that its value may mean, where it needs a file."""
    for page in _pages(job, lookups):
        for row in page:
            asked = _asked(job, row)
            if isinstance(asked, Said):
                yield asked, ()
            else:
                yield Said(row, Outcome.LISTED), asked


def imported(job: Job, client: Client, *, apply: bool) -> Iterator[Said]:
    """Fill the field of each row from its old column, where it has none. Raises ClaimcheckError."""
    for page in _pages(job):
        asked = [_asked(job, row) for row in page]
        files = _files_of(client, asked)
        said = [
            one if isinstance(one, Said) else _chosen(job, row, [files[url] for url in one])
            for row, one in zip(page, asked, strict=True)
        ]
        if apply and job.field.attach is not None:
            said = _attached(client, job.field.attach, said)
        yield from _stored(job, job.field.name, said) if apply else said


def put_back(job: Job, client: Client, *, apply: bool) -> Iterator[Said]:
    """Fill the old column of each row from its field, unless it means the same file.

    With object URLs, or with keys where the job has a `base`. Raises ClaimcheckError.
    """
    for page in _pages(job):
        is_by_id = job.field.store == "id"
        names = [row.value for row in page if row.value and (is_id(row.value) or not is_by_id)]
        by_name = dict(zip(names, _files(client, f"{job.field.store}s", names), strict=True))
        meant = [_asked(job, replace(row, value="")) for row in page]
        olds = _files_of(client, meant)
        said = []
        for row, urls in zip(page, meant, strict=True):
            file = by_name.get(row.value)
            if not row.value:
                one = Said(row, Outcome.EMPTY)
            elif file is None:
                one = Said(row, Outcome.UNKNOWN, f"The service has no file {row.value}.")
            elif isinstance(urls, tuple) and file["id"] in [_id_of(olds[url]) for url in urls]:
                one = Said(row, Outcome.KEPT, file_id=file["id"])
            else:
                one = _as_before(job, Said(row, Outcome.IMPORTED, None, file["id"], file["url"]))
            said.append(one)
        yield from _stored(job, job.column, said) if apply else said


def _pages(job: Job, lookups: Sequence[str] = ()) -> Iterator[list[Row]]:
    rows = job.rows.order_by("pk")
    last: Any = None
    while True:
        behind = rows if last is None else rows.filter(pk__gt=last)
        names = ("pk", job.column, job.field.name, *lookups)
        found = list(behind.values_list(*names)[:_BATCH])
        if not found:
            return
        # A lookup of many gives a row more than once.
        by_pk = {pk: Row(pk, _text(old), _text(value), more) for pk, old, value, *more in found}
        yield list(by_pk.values())
        last = found[-1][0]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _asked(job: Job, row: Row) -> Said | tuple[str, ...]:
    """The URLs to ask the service for, or why it is not asked."""
    if not row.old:
        return Said(row, Outcome.EMPTY)
    if row.value and (not job.is_in_place or (job.field.store == "id" and is_id(row.value))):
        return Said(row, Outcome.KEPT)
    try:
        return job.readings(row.old)
    except ValueError as error:
        return Said(row, Outcome.REFUSED, str(error))


def _files_of(client: Client, asked: Iterable[Said | tuple[str, ...]]) -> dict[str, _File]:
    """The files of all URLs that are asked for."""
    urls = list({url: None for one in asked if isinstance(one, tuple) for url in one})
    return dict(zip(urls, _files(client, "urls", urls), strict=True))


def _files(client: Client, kind: str, wanted: Sequence[str]) -> Iterator[_File]:
    """Files by `ids` or `urls`, in order, None where the service has none."""
    for start in range(0, len(wanted), _MOST):
        asked = {kind: wanted[start : start + _MOST], "details": True}
        answer = client.request("POST", "/v1/files/presign", json=asked)
        yield from (None if "problem" in one else one for one in answer["items"])


def _id_of(file: _File) -> str | None:
    return None if file is None else file["id"]


def _chosen(job: Job, row: Row, files: Sequence[_File]) -> Said:
    """The one file of several that the value may mean."""
    there = {file["id"]: file for file in files if file is not None}
    if not there:
        return Said(row, Outcome.UNKNOWN, "The service has no file of this URL.")
    if len(there) > 1:
        return Said(row, Outcome.AMBIGUOUS, f"It may mean any of {', '.join(there)}.")
    [file] = there.values()
    new = file[job.field.store]
    if new == row.value:
        return Said(row, Outcome.KEPT, file_id=file["id"])
    if not job.anyway and file["destination"] != job.field.dest:
        reason = f"It is of {file['destination']}, not of {job.field.dest}: --anyway takes it."
        return Said(row, Outcome.REFUSED, reason, file["id"])
    return _fitting(Said(row, Outcome.IMPORTED, None, file["id"], new), job.field)


def _as_before(job: Job, one: Said) -> Said:
    """The object's URL, or its key under the base."""
    if job.base is not None:
        base = job.base.rstrip("/") + "/"
        if not one.new.startswith(base):
            reason = f"{one.new} does not lie under --base."
            return replace(one, outcome=Outcome.REFUSED, reason=reason)
        one = replace(one, new=unquote(one.new[len(base) :]))
    return _fitting(one, job.rows.model._meta.get_field(job.column))


def _fitting(one: Said, field: Any) -> Said:
    most = getattr(field, "max_length", None)
    if most is None or len(one.new) <= most:
        return one
    reason = f"{one.new} is longer than the {most} characters that {field.name} takes."
    return replace(one, outcome=Outcome.REFUSED, reason=reason)


def _attached(client: Client, attach: tuple[str, str], said: Sequence[Said]) -> list[Said]:
    """Put the files into their records' fields, those that `adopt` has not put there."""
    kind, name = attach
    ids = [str(one.row.pk) for one in said if one.outcome is Outcome.IMPORTED]
    records = client.records.get_many(kind, ids, fields=[name])["items"] if ids else []
    held = {each["id"]: (each["fields"].get(name) or {}).get("file_id") for each in records}
    return [
        _put(client, kind, name, one)
        if one.outcome is Outcome.IMPORTED and held.get(str(one.row.pk)) != one.file_id
        else one
        for one in said
    ]


def _put(client: Client, kind: str, name: str, one: Said) -> Said:
    try:
        client.records.put(kind, str(one.row.pk), name, one.file_id)
    except Problem as problem:
        return replace(one, outcome=Outcome.REFUSED, reason=problem.detail)
    return one


def _stored(job: Job, name: str, said: Sequence[Said]) -> list[Said]:
    """Write to the field of this name what was found: for all rows of a page, or for none."""
    with transaction.atomic(using=job.rows.db):
        return [
            _written(job, name, one) if one.outcome is Outcome.IMPORTED else one for one in said
        ]


def _written(job: Job, name: str, one: Said) -> Said:
    """Write it where the row still holds what was read."""
    rows = job.rows.filter(_holds(job.column, one.row.old), _holds(job.field.name, one.row.value))
    if rows.filter(pk=one.row.pk).update(**{name: one.new}) == 1:
        return one
    return replace(one, outcome=Outcome.CHANGED, reason="It was changed meanwhile: call it again.")


def _holds(name: str, text: str) -> Q:
    return Q(**{name: text}) if text else Q(**{name: ""}) | Q(**{f"{name}__isnull": True})
