"""The field for Django REST framework's serializers."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from claimcheck_client import ClaimcheckError
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework import serializers

from django_claimcheck.fields import ClaimcheckField
from django_claimcheck.value import ClaimcheckFile, NoFile, ask, is_id
from django_claimcheck.verify import verified

if TYPE_CHECKING:
    _Base = serializers.Field[Any, Any, Any, Any]
else:
    _Base = serializers.Field


class ClaimcheckSerializerField(_Base):
    """A file of an object: read as a fresh link, or None where there is none; written as an id.

    `shows`: "url", "content_url", "id", or "file" for an object of id, filename, content_type, size
    and url. Of a list of objects all files are asked for together. Taken is a file that the user
    who is signed in has uploaded for this field, or the one that the object has already.
    """

    default_error_messages = {"invalid": "Give the id of a file."}  # noqa: RUF012
    _SHOWN = ("id", "filename", "content_type", "size", "url")

    def __init__(
        self, *, shows: Literal["url", "content_url", "id", "file"] = "url", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shows = shows

    @property
    def of(self) -> ClaimcheckField:
        """The model's field. Raises TypeError where the serializer's model has none."""
        meta: Any = getattr(self.parent, "Meta", None)
        model = getattr(meta, "model", None)
        found = model and model._meta.get_field(self.source)
        if not isinstance(found, ClaimcheckField):
            raise TypeError(f"{self.source} is no ClaimcheckField of a ModelSerializer's model.")
        return found

    def to_representation(self, value: ClaimcheckFile) -> Any:
        if not value:
            return None
        if not value.is_known and self.shows != "id":
            self._ask_for_all()
        try:
            if self.shows == "file":
                return {name: getattr(value, name) for name in self._SHOWN}
            return getattr(value, self.shows)
        except (NoFile, ClaimcheckError):
            return None

    def _ask_for_all(self) -> None:
        """Where the serializer is of a list, ask for the files of all of it."""
        parent: Any = self.parent
        objects = getattr(parent.parent, "instance", None)
        if not isinstance(objects, list | tuple | QuerySet):
            return
        alike = (f for f in parent.fields.values() if isinstance(f, ClaimcheckSerializerField))
        shown = [field for field in alike if field.shows != "id" and not field.write_only]
        values = []
        for field, each in product(shown, objects):
            with suppress(AttributeError, KeyError, serializers.SkipField):
                values.append(field.get_attribute(each))
        ask(value for value in values if value and not value.is_known)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is None or data == "":
            of = self.of
            if of.blank or of.null:
                return None if of.null else ""
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> ClaimcheckFile:
        if not isinstance(data, str):
            self.fail("invalid")
        instance: Any = getattr(self.parent, "instance", None)
        if isinstance(instance, self.of.model):
            held: ClaimcheckFile = getattr(instance, self.of.attname)
            if held and (str(held) == data or self._is_id_of(held, data)):
                return held
        try:
            return verified(self.of, data).kept(self.of)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages, error.code) from error

    def _is_id_of(self, held: ClaimcheckFile, data: str) -> bool:
        """Whether this is the id of a file that is kept by its URL."""
        try:
            return is_id(data) and held.id == data
        except (NoFile, ClaimcheckError):
            return False


def connect() -> None:
    """Let ModelSerializers make this field of a ClaimcheckField by themselves."""
    mapping: Any = serializers.ModelSerializer.serializer_field_mapping
    mapping[ClaimcheckField] = ClaimcheckSerializerField
