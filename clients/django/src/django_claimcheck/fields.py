"""The model field."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self, overload
from uuid import UUID

from django.apps import apps
from django.core import checks
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from django_claimcheck.users import shown_values
from django_claimcheck.value import ClaimcheckFile

if TYPE_CHECKING:
    from django import forms

    class _Base(models.Field[Any, Any]):
        """The value is a ClaimcheckFile also where the column may be null."""

        @overload  # type: ignore[override]
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: models.Model, owner: Any) -> ClaimcheckFile: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Self: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: models.Model, value: str | ClaimcheckFile | None) -> None: ...
else:
    _Base = models.Field

_LENGTHS = {"id": 36, "url": 2048}
_ON_DELETE = ("keep", "release", "remove")


def _kept(by: Any, value: Any) -> Any:
    """A file of a field that keeps them otherwise, as this one does; all else as it is."""
    if isinstance(value, ClaimcheckFile) and value and value.field.store != by.store:
        return value.kept(by)
    return value


class _Descriptor(DeferredAttribute):
    """Gives a ClaimcheckFile for whatever the attribute was set to."""

    field: Any

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, ClaimcheckFile) or hasattr(value, "resolve_expression"):
            return value
        text = value if value is None else str(value)  # programs have UUIDs, too
        held = instance.__dict__[self.field.attname] = ClaimcheckFile(self.field, text)
        return held

    # Else the attribute of an instance would hide the descriptor.
    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = _kept(self.field, value)


class ClaimcheckField(_Base):
    """A file that browsers have put into the bucket: the column has its id, or its object's URL.

    `dest`: the destination at the service. `store`: "id" or "url". `attach`: the type of a record
    of the service and its field that shall hold the file as well; the record's id is the primary
    key. `on_delete`: of a file that is replaced, or whose object is deleted: "keep" it, "release"
    it (the service forgets it, the bucket keeps it), or "remove" it from both. `accept` (types and
    extensions as in HTML) and `max_size` (bytes) spare people a wait; the destination's rules are
    enforced.
    """

    description = "A file at Claimcheck"
    descriptor_class = _Descriptor

    def __init__(
        self,
        *args: Any,
        dest: str = "",
        store: Literal["id", "url"] = "id",
        attach: tuple[str, str] | None = None,
        on_delete: Literal["keep", "release", "remove"] = "keep",
        accept: str = "",
        max_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.dest, self.store, self.attach, self.on_delete = dest, store, attach, on_delete
        self.accept, self.max_size = accept, max_size
        kwargs.setdefault("max_length", _LENGTHS.get(store))
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Of the options those that the column depends on: other changes need no migration."""
        name, path, args, kwargs = super().deconstruct()
        if kwargs.get("max_length") == _LENGTHS.get(self.store):
            del kwargs["max_length"]
        if self.store != "id":
            kwargs["store"] = self.store
        return name, path, args, {"dest": self.dest, **kwargs}

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        wrong = []
        if not (isinstance(self.dest, str) and self.dest):
            wrong.append("dest= is missing: the name of one of the service's destinations.")
        if self.store not in _LENGTHS:
            wrong.append('store= is "id" or "url".')
        if self.on_delete not in _ON_DELETE:
            wrong.append(f"on_delete= is one of {', '.join(_ON_DELETE)}.")
        if self.attach is not None and not (
            isinstance(self.attach, tuple | list)
            and len(self.attach) == 2
            and all(isinstance(name, str) and name for name in self.attach)
        ):
            wrong.append('attach= is the type and the field of a record: ("product", "image").')
        if not isinstance(self.accept, str):
            wrong.append('accept= is one string, as in HTML: "image/png,image/jpeg".')
        if not (self.max_size is None or isinstance(self.max_size, int)):
            wrong.append("max_size= is a number of bytes: 5_000_000.")
        if not apps.is_installed("django_claimcheck"):
            wrong.append('Forms cannot show it: add "django_claimcheck" to INSTALLED_APPS.')
        errors = [checks.Error(text, obj=self, id="claimcheck.E001") for text in wrong]
        return [*super().check(**kwargs), *errors]

    def get_internal_type(self) -> str:
        return "CharField"

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        # An empty file is no NULL: that would be one to be unique among.
        return str(_kept(self, value)) if isinstance(value, ClaimcheckFile | UUID) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """As of other columns for text: one way to be empty."""
        found = super().get_db_prep_save(value, connection)
        return (None if self.null else "") if found in (None, "") else found

    def value_from_object(self, obj: models.Model) -> Any:
        """Forms begin with it; those of one page ask for all of theirs together."""
        value = super().value_from_object(obj)
        if value:
            shown_values().append(value)
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return str(super().value_from_object(obj))

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        from django_claimcheck.forms import ClaimcheckFormField

        return super().formfield(**{"form_class": ClaimcheckFormField, "of": self, **kwargs})


@cache
def claimcheck_fields(model: type[models.Model]) -> list[ClaimcheckField]:
    """The ClaimcheckFields of a model, inherited ones too."""
    return [field for field in model._meta.concrete_fields if isinstance(field, ClaimcheckField)]
