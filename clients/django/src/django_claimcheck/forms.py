"""The form field and its widget, `<claimcheck-upload>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from claimcheck_client import ClaimcheckError
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.widgets import Script
from django.urls import reverse

from django_claimcheck.conf import conf
from django_claimcheck.users import shown_values
from django_claimcheck.value import ClaimcheckFile, NoFile, ask
from django_claimcheck.verify import verified

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField


class ClaimcheckWidget(forms.Widget):
    """`<claimcheck-upload>` in a form."""

    template_name = "django_claimcheck/upload.html"
    of: ClaimcheckField  # set by the form field

    @property
    def media(self) -> forms.Media:
        script: Any = Script(conf().script, type="module")
        return forms.Media(css={"all": ["django_claimcheck/upload.css"]}, js=[script])

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, str(value or ""), attrs)
        meta = self.of.model._meta
        where = (meta.app_label, meta.model_name, self.of.name)
        more = {
            "name": name,
            "session": reverse("claimcheck:session", args=where),
            # Either is enough; sites that hide the cookie from scripts have the input.
            "csrf-input": "csrfmiddlewaretoken",
            "csrf-cookie": settings.CSRF_COOKIE_NAME,
            "csrf-header": settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
            "accept": self.of.accept or None,
            "max-size": self.of.max_size,
            "deletes": True if self.of.on_delete == "remove" else None,
        }
        given = {name: one for name, one in more.items() if one is not None}
        context["widget"]["attrs"] |= given
        context["widget"]["data"] = _shown(value) if isinstance(value, ClaimcheckFile) else {}
        return context


def _shown(held: ClaimcheckFile) -> dict[str, Any]:
    """How the element shows a file: by its URL's name alone, where the service tells no more."""
    if held and not held.is_known:
        ask([held, *(value for value in shown_values() if not value.is_known)])
    try:
        file = held.file
    except (NoFile, ClaimcheckError):
        name = unquote(urlsplit(str(held)).path.rpartition("/")[2]) if held else ""
        return {"filename": name} if "/" in str(held) else {}
    shown = {"filename": file["filename"], "type": file["content_type"], "size": file["size"]}
    if file["content_type"].startswith("image/") and file["presigned_url"]:
        shown["src"] = file["presigned_url"]
    return shown


class ClaimcheckFormField(forms.Field):
    """A file; its clean value is a ClaimcheckFile, or what an empty column has.

    A form takes a file that the user who is signed in has uploaded for this field, or the one that
    its object has already. Nothing is shown of any other.
    """

    widget = ClaimcheckWidget

    def __init__(self, *, of: ClaimcheckField, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of = of
        self.widget.of = of
        self._held: ClaimcheckFile | None = None
        self._taken: ClaimcheckFile | str = ""

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Also notes what the object has already: that stays, whoever has uploaded it."""
        instance = getattr(form, "instance", None)
        if isinstance(instance, self.of.model):
            self._held = getattr(instance, self.of.attname)
        else:
            initial = form.get_initial_for_field(self, field_name)
            self._held = initial if isinstance(initial, ClaimcheckFile) else None
        return super().get_bound_field(form, field_name)

    def prepare_value(self, value: Any) -> Any:
        """The file to show: the object's, or the one just taken. Of others nothing is told."""
        if self._taken and str(value) == str(self._taken):
            return self._taken
        return value and self._held

    def has_changed(self, initial: Any, data: Any) -> bool:
        return data is not None and super().has_changed(initial, data)

    def clean(self, value: Any) -> Any:
        if value is None:  # the form was sent without it
            value = self._held
        super().clean(str(value or ""))
        if not value:
            return None if self.of.null else ""
        if self._held and str(value) == str(self._held):
            return self._held
        try:
            self._taken = verified(self.of, str(value))
        except ValidationError as error:
            if error.code == "unavailable":
                self._taken = str(value)
            raise
        return self._taken.kept(self.of)
