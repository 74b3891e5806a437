"""A field's value on an instance, and asking for those of many instances at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from claimcheck_client import ClaimcheckError, Problem
from django.db import models
from django.utils import timezone

from django_claimcheck import service
from django_claimcheck.conf import conf

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField

M = TypeVar("M", bound=models.Model)
# Links are given to readers who still have this long to follow them.
_SPARE = timedelta(minutes=1)
# A failure is not asked about again for a page that has a hundred files.
_FAILURE_LASTS = timedelta(seconds=5)


class NoFile(ValueError):
    """There is no file, or none that may be read. Templates show nothing."""

    silent_variable_failure = True


class ClaimcheckFile:
    """A file at the service, by what the column keeps: false where that is empty.

    The service is asked when something else is wanted, once for all, and again when the link is
    about to end. Raises NoFile where there is no such file, and claimcheck_client's errors.
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
        return other == (self.value or "") or (other is None and not self)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def file(self) -> dict[str, Any]:
        """The JSON of `GET /v1/files/{id}`, with the `owner`."""
        if not self:
            raise NoFile(f"{self.field.name} is empty.")
        if self._until is None or self._until < timezone.now():
            ask([self])
        if isinstance(self._answer, ClaimcheckError):
            raise self._answer
        if self._answer is None:
            raise NoFile(f"The service has no file {self}.")
        return self._answer

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
        if self.field.store == "id" and self.value:
            return self.value
        return str(self.file["id"])

    @property
    def url(self) -> str:
        """A link that reads the file until it expires."""
        link: str | None = self.file["presigned_url"]
        if link is None:
            raise NoFile(f"Nobody may read the file {self} (yet): its scan says so.")
        return link

    @property
    def content_url(self) -> str | None:
        """For `<img src>`: redirects to a fresh link. See docs/auth.md of the service."""
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

    def kept(self) -> ClaimcheckFile:
        """This file, as the field keeps it: by its id or its object's URL."""
        file = self.file
        self.value = str(file["url" if self.field.store == "url" else "id"])
        return self

    def answered(self, answer: dict[str, Any] | ClaimcheckError | None) -> None:
        """Keep an answer of the service; None: it has no such file."""
        now = timezone.now()
        self._answer, self._until = answer, now + _FAILURE_LASTS
        if isinstance(answer, dict) and (end := answer["presigned_url_expires_at"]):
            self._until = datetime.fromisoformat(end) - _SPARE


def ask(values: Iterable[ClaimcheckFile]) -> None:
    """Ask the service for all of these, with one request, or two where some are kept by URL.

    Each value knows afterwards: a failure too, which it raises when it is used.
    """
    by_kind: dict[str, dict[str, list[ClaimcheckFile]]] = {"ids": {}, "urls": {}}
    for value in values:
        name = str(value)
        if is_id(name):
            by_kind["ids"].setdefault(name, []).append(value)
        elif name and value.field.store == "url":
            by_kind["urls"].setdefault(name, []).append(value)
        else:
            value.answered(None)
    for kind, named in by_kind.items():
        answers: Iterable[Any]
        try:
            answers = list(service.files(kind, list(named)))
        except ClaimcheckError as error:
            answers = [error] * len(named)
        for same, answer in zip(named.values(), answers, strict=True):
            for value in same:
                value.answered(None if _is_missing(answer) else answer)


def _is_missing(answer: Any) -> bool:
    return isinstance(answer, dict) and "problem" in answer


def is_id(value: str) -> bool:
    """Whether this is an id as the service writes it."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def prefetch_claimcheck(objects: Iterable[M], *fields: str) -> list[M]:
    """The objects as a list, their files known: one request for all of them together.

    `fields`: names of ClaimcheckFields; without any, all that the objects have.
    """
    found = list(objects)
    values = []
    for each in found:
        for name in fields or _names_of(type(each)):
            value = getattr(each, name)
            if not isinstance(value, ClaimcheckFile):
                raise TypeError(f"{type(each).__name__}.{name} is no ClaimcheckField.")
            values.append(value)
    ask(filter(None, values))
    return found


def _names_of(model: type[models.Model]) -> Sequence[str]:
    from django_claimcheck.fields import ClaimcheckField

    return [f.attname for f in model._meta.concrete_fields if isinstance(f, ClaimcheckField)]
