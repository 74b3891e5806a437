"""System checks: of the settings always, of the service with `check --deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from claimcheck_client import ClaimcheckError, Problem
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from django_claimcheck import service
from django_claimcheck.conf import conf
from django_claimcheck.fields import ClaimcheckField, claimcheck_fields
from django_claimcheck.users import claimcheck_middleware

TAG = "claimcheck"


def all_fields() -> list[ClaimcheckField]:
    """The ClaimcheckFields of all models, each once."""
    models = apps.get_models()
    return [f for model in models for f in claimcheck_fields(model) if f.model is model]


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Whether `CLAIMCHECK`, the middleware and the URLs are there."""
    found: list[checks.CheckMessage] = []
    try:
        conf()
    except ImproperlyConfigured as error:
        found.append(checks.Error(str(error), id="claimcheck.E002"))
    if not any(_is_ours(name) for name in settings.MIDDLEWARE):
        name = f"{claimcheck_middleware.__module__}.{claimcheck_middleware.__name__}"
        text = "Forms cannot know who is signed in, and take no files."
        hint = f"Add {name!r} to MIDDLEWARE."
        found.append(checks.Error(text, hint, id="claimcheck.E003"))
    try:
        reverse("claimcheck:session", args=("app", "model", "field"))
    except NoReverseMatch:
        text = "Pages have nowhere to ask for upload sessions."
        hint = 'Add path("claimcheck/", include("django_claimcheck.urls")) to your URLs.'
        found.append(checks.Error(text, hint, id="claimcheck.E004"))
    return found


def _is_ours(name: str) -> bool:
    try:
        return import_string(name) is claimcheck_middleware
    except ImportError:
        return False


def check_service(**_: Any) -> list[checks.CheckMessage]:
    """Whether the service answers, its key suffices, and it has the fields' destinations."""
    fields = all_fields()
    if any(error.id == "claimcheck.E001" for field in fields for error in field.check()):
        return []  # is told of the model
    try:
        conf()
        lacking = {scope: None for scope, probe in _probes(fields) if _lacks_scope(*probe)}
        if lacking:
            text = f"CLAIMCHECK's KEY lacks the scopes {', '.join(lacking)}."
            hint = "Make a key that has them, and no more: claimcheck keys create --scope ..."
            return [checks.Error(text, hint, id="claimcheck.E006")]
        known = {one["name"] for one in service.ask("GET", "/v1/destinations")["items"]}
    except ImproperlyConfigured:
        return []  # is told above
    except ClaimcheckError as error:
        text = f"The service does not do what is needed: {error}"
        hint = "Look at CLAIMCHECK's URL."
        if error.status == 401:
            hint = "Look at CLAIMCHECK's KEY, or make one: claimcheck keys create, or the panel."
        return [checks.Error(text, hint, id="claimcheck.E005")]
    return [
        checks.Error(
            f"The service has no destination {field.dest!r} for this key.",
            f"It has {', '.join(sorted(known))}.",
            obj=field,
            id="claimcheck.E007",
        )
        for field in fields
        if field.dest not in known
    ]


def _probes(fields: list[ClaimcheckField]) -> Iterator[tuple[str, tuple[str, str, Any]]]:
    """For each scope that these fields need a request that changes nothing."""
    nobody = str(uuid4())
    yield "sessions:mint", ("GET", "/v1/upload-sessions?limit=1", None)
    yield "uploads:write", ("GET", "/v1/destinations", None)
    yield "files:read", ("POST", "/v1/files/presign", {"ids": [nobody]})
    # Files belong to those who have uploaded them.
    yield "files:all", ("GET", f"/v1/usage?owner={nobody}", None)
    if any(field.on_delete != "keep" for field in fields):
        yield "files:delete", ("DELETE", f"/v1/files/{nobody}", None)
    for kind, name in {tuple(field.attach) for field in fields if field.attach}:
        yield "records:write", ("DELETE", f"/v1/records/{kind}/{nobody}/{name}", None)


def _lacks_scope(method: str, path: str, json: Any) -> bool:
    try:
        service.ask(method, path, json)
    except Problem as problem:
        if problem.type not in ("file-not-found", "record-not-found", "insufficient-scope"):
            raise
        return problem.type == "insufficient-scope"
    return False
