"""The form field and its widget, `<claimcheck-upload>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from claimcheck_client import ClaimcheckError
from django import forms
from django.conf import settings
from django.forms.widgets import Script
from django.urls import reverse

from django_claimcheck.conf import conf
from django_claimcheck.value import ClaimcheckFile, NoFile
from django_claimcheck.verify import verified

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField


class ClaimcheckWidget(forms.Widget):
    """`<claimcheck-upload>` in a form; `of` is the model's field, and is set by the form field.

    `accept` (types and extensions as in HTML) and `max_size` (bytes) spare people a wait; the
    destination's rules are enforced.
    """

    template_name = "django_claimcheck/upload.html"

    def __init__(
        self, attrs: dict[str, Any] | None = None, *, accept: str = "", max_size: int | None = None
    ) -> None:
        super().__init__(attrs)
        self.accept, self.max_size = accept, max_size
        self.of: ClaimcheckField | None = None

    @property
    def media(self) -> forms.Media:
        return forms.Media(
            css={"all": ["django_claimcheck/upload.css"]},
            js=[Script(conf().script, type="module")],
        )

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, str(value or ""), attrs)
        of = self.of
        assert of is not None
        meta = of.model._meta
        where = (meta.app_label, meta.model_name, of.name)
        limits = {"accept": self.accept or None, "max-size": self.max_size}
        more = {
            "name": name,
            "session": reverse("claimcheck:session", args=where),
            "csrf-cookie": settings.CSRF_COOKIE_NAME,
            "csrf-header": settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
            **{name: limit for name, limit in limits.items() if limit is not None},
        }
        context["widget"]["attrs"] |= more
        if value:
            held = value if isinstance(value, ClaimcheckFile) else ClaimcheckFile(of, str(value))
            context["widget"]["file"] = _shown(held)
        return context


def _shown(held: ClaimcheckFile) -> dict[str, Any]:
    """How the element shows a file: by its name alone, where the service does not tell more."""
    try:
        file = held.file
    except (NoFile, ClaimcheckError):
        return {"filename": str(held).rpartition("/")[2]}
    is_image = file["content_type"].startswith("image/")
    src = file["presigned_url"] if is_image else None
    return {"filename": file["filename"], "type": file["content_type"], "size": file["size"]} | (
        {"src": src} if src else {}
    )


class ClaimcheckFormField(forms.Field):
    """A file; its clean value is a ClaimcheckFile, or `empty_value`."""

    widget = ClaimcheckWidget

    def __init__(self, *, of: ClaimcheckField, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of = of
        self._held: Any = None
        if isinstance(self.widget, ClaimcheckWidget):
            self.widget.of = of

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Also notes what the object has already: that stays, whoever uploaded it."""
        instance = getattr(form, "instance", None)
        if isinstance(instance, self.of.model):
            self._held = getattr(instance, self.of.attname)
        else:
            self._held = form.get_initial_for_field(self, field_name)
        return super().get_bound_field(form, field_name)

    def clean(self, value: Any) -> Any:
        value = super().clean(str(value or ""))
        if not value:
            return None if self.of.null else ""
        if self._held and str(self._held) == value:
            return self._held
        return verified(self.of, value)
