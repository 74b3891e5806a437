"""The model field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from django_claimcheck.value import ClaimcheckFile

if TYPE_CHECKING:
    from django import forms

    _Base = models.Field[str | ClaimcheckFile | None, ClaimcheckFile]
else:
    _Base = models.Field

_LENGTHS = {"id": 36, "url": 2048}


class _Descriptor(DeferredAttribute):
    """Gives a ClaimcheckFile for whatever was set."""

    field: ClaimcheckField

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, ClaimcheckFile) or hasattr(value, "resolve_expression"):
            return value
        held = instance.__dict__[self.field.attname] = ClaimcheckFile(self.field, value)
        return held

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class ClaimcheckField(_Base):
    """A file that browsers have put into the bucket: the column has its id, or its object's URL.

    `dest`: the destination at the service. `store`: "id" or "url". `attach`: the type and the field
    of the service's record, named by the object's primary key, that shall hold the file as well.
    `on_delete`: of a file that is replaced, or whose object is deleted: "keep" it, "release" it
    (the service forgets it, the bucket keeps it), or "remove" it from both.
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
        **kwargs: Any,
    ) -> None:
        self.dest, self.store, self.attach, self.on_delete = dest, store, attach, on_delete
        kwargs.setdefault("max_length", _LENGTHS.get(store))
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Of the options those that the column depends on; the others need no migrations."""
        name, path, args, kwargs = super().deconstruct()
        if kwargs.get("max_length") == _LENGTHS.get(self.store):
            del kwargs["max_length"]
        if self.store != "id":
            kwargs["store"] = self.store
        return name, path, args, {"dest": self.dest, **kwargs}

    def get_internal_type(self) -> str:
        return "CharField"

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value.value if isinstance(value, ClaimcheckFile) else value

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))

    def formfield(self, **kwargs: Any) -> forms.Field | None:  # type: ignore[override]
        from django_claimcheck.forms import ClaimcheckFormField

        return super().formfield(**{"form_class": ClaimcheckFormField, "of": self, **kwargs})
