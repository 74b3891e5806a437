"""A field's value on an instance, and asking for those of many instances at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from claimcheck_client import ClaimcheckError
from django.db import models
from django.utils import timezone

from django_claimcheck import service
from django_claimcheck.conf import conf

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField

M = TypeVar("M", bound=models.Model)
# Links are given to readers who still have this long to follow them.
_SPARE = timedelta(minutes=1)
# For so long an answer without a link is believed: not each of a hundred values asks again.
_WITHOUT_LINK = timedelta(seconds=5)
_log = logging.getLogger("django_claimcheck")


class NoFile(ValueError):
    """There is no file, or none that may be read. Templates show nothing."""

    silent_variable_failure = True


class ClaimcheckFile:
    """A file at the service, by what the column keeps: false where that is empty.

    The service is asked when something else is wanted, once for all of it, and again when the link
    is about to end. Then it raises NoFile where there is no such file, and claimcheck_client's
    errors; in templates each is shown as nothing.
    """

    __slots__ = ("_answer", "_until", "field", "value")

    def __init__(self, field: ClaimcheckField, value: str | None) -> None:
        self.field, self.value = field, value
        self._answer: dict[str, Any] | ClaimcheckError | None = None
        self._until: datetime | None = None

    def __str__(self) -> str:
        return self.value or ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ClaimcheckFile):
            return str(self) == str(other)
        return other == str(self) or (other is None and not self)

    def __hash__(self) -> int:
        return hash(str(self))

    def __getstate__(self) -> tuple[Any, ...]:
        """Caches keep what the service has said, and no failures."""
        said = (self._answer, self._until) if isinstance(self._answer, dict) else (None, None)
        return (self.field, self.value, *said)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.field, self.value, self._answer, self._until = state

    @property
    def file(self) -> dict[str, Any]:
        """The JSON of `GET /v1/files/{id}`, with the `owner`."""
        if not self:
            raise NoFile(f"{self.field.name} is empty.")
        if not self.is_known:
            ask([self])
        if isinstance(self._answer, ClaimcheckError):
            raise self._answer.with_traceback(None)
        if self._answer is None:
            raise NoFile(f"The service has no file {self}.")
        return self._answer

    @property
    def is_known(self) -> bool:
        """Whether an answer of the service is at hand."""
        return self._until is not None and timezone.now() < self._until

    @property
    def exists(self) -> bool:
        """Whether the service has the file."""
        try:
            return bool(self.file)
        except NoFile:
            return False

    @property
    def id(self) -> str:
        """The file's id at the service."""
        if self.value and self.field.store == "id":
            return self.value
        return str(self.file["id"])

    @property
    def url(self) -> str:
        """A link that reads the file until it expires."""
        link: str | None = self.file["presigned_url"]
        if link is None:
            raise NoFile(f"Nobody may read the file {self} (yet): its scan is {self.file['scan']}.")
        return link

    @property
    def object_url(self) -> str:
        """The object's address in the bucket, which does not change, and reads nothing."""
        return str(self.file["url"])

    @property
    def content_url(self) -> str | None:
        """For `<img src>`: redirects to a fresh link. None where the destination has none."""
        path: str | None = self.file["content_url"]
        return path and conf().browser_url + path

    @property
    def filename(self) -> str:
        return str(self.file["filename"])

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.file["size"])

    @property
    def content_type(self) -> str:
        return str(self.file["content_type"])

    def kept(self, by: ClaimcheckField) -> ClaimcheckFile:
        """This file as a field keeps it, by its id or its object's URL. Raises as `file` does."""
        found = copy(self)
        found.field, found.value = by, self.object_url if by.store == "url" else self.id
        return found

    def answered(self, answer: dict[str, Any] | ClaimcheckError | None) -> None:
        """Keep an answer of the service; None: it has no such file."""
        self._answer, self._until = answer, timezone.now() + _WITHOUT_LINK
        if isinstance(answer, dict) and (end := answer["presigned_url_expires_at"]):
            self._until = max(self._until, datetime.fromisoformat(end) - _SPARE)


def ask(values: Iterable[ClaimcheckFile]) -> None:
    """Ask the service for all of these: with one request where all are kept by id, or all by URL.

    Each value has the answer afterwards, or the failure, which it raises when it is used.
    """
    wanted: dict[str, dict[str, list[ClaimcheckFile]]] = {"ids": {}, "urls": {}}
    for value in values:
        kind = "ids" if is_id(str(value)) else "urls"
        if kind == "urls" and value.field.store == "id":
            value.answered(None)
        else:
            wanted[kind].setdefault(str(value), []).append(value)
    for kind, named in wanted.items():
        answers: Iterable[Any]
        try:
            answers = list(service.files(kind, list(named)))
        except ClaimcheckError as error:
            _log.warning("The service has not answered for %d files: %s", len(named), error)
            error.silent_variable_failure = True  # type: ignore[attr-defined]
            answers = [error] * len(named)
        for alike, answer in zip(named.values(), answers, strict=True):
            is_missing = isinstance(answer, dict) and "problem" in answer
            for value in alike:
                value.answered(None if is_missing else answer)


def is_id(value: str) -> bool:
    """Whether this is an id as the service writes it."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def prefetch_claimcheck(objects: Iterable[M], *fields: str) -> list[M]:
    """The objects as a list, with all of their files known: one request for all of them together.

    `fields`: names of ClaimcheckFields; without any, all that are not deferred. Where some fields
    keep ids and others URLs there are two requests, and one more for each further 1,000 files.
    """
    found = list(objects)
    values: list[ClaimcheckFile] = []
    for each in found:
        for name in fields or _names_of(each):
            value = getattr(each, name)
            if not isinstance(value, ClaimcheckFile):
                raise TypeError(f"{type(each).__name__}.{name} is no ClaimcheckField.")
            values.append(value)
    ask(value for value in values if value and not value.is_known)
    return found


def _names_of(each: models.Model) -> Sequence[str]:
    from django_claimcheck.fields import claimcheck_fields

    names = (field.attname for field in claimcheck_fields(type(each)))
    return [name for name in names if name in each.__dict__]
