"""Upload sessions for whoever is signed in."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from claimcheck_client import ClaimcheckError, Problem
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from django_claimcheck import service
from django_claimcheck.conf import conf
from django_claimcheck.fields import ClaimcheckField

_log = logging.getLogger("django_claimcheck")
# One file is kept; some are tried in vain, or replaced before the form is sent.
_MAX_FILES = 100


@never_cache
@require_POST
@csrf_protect
def session(request: HttpRequest, app: str, model: str, field: str) -> JsonResponse:
    """The upload session that `<claimcheck-upload>` asks for, or the problem why there is none."""
    if not request.user.is_authenticated:
        return _problem(401, "You are not signed in", "Sign in, and try again.")
    found = _field(app, model, field)
    if found is None:
        return _problem(404, "There is no such field", "Reload the page, and try again.")
    try:
        return JsonResponse(upload_session(request, found))
    except PermissionDenied:
        return _problem(403, "You may not upload here", "Ask those who run this site.")
    except Problem as problem:
        if problem.status in (401, 403, 404):
            _log.error("CLAIMCHECK or the field's destination is wrong: %s", problem)
            return _problem(502, "This site may not upload", "Tell those who run it.")
        return _problem(502, problem.title, problem.detail)
    except ClaimcheckError:
        return _problem(503, "The upload service does not answer", "Try again later.")


def upload_session(request: HttpRequest, field: ClaimcheckField) -> dict[str, Any]:
    """An upload session for the user of the request: `{token, endpoint, destination, resumable}`.

    For views of your own, as of an API. Raises PermissionDenied where nobody is signed in, or they
    may not upload for this field, and claimcheck_client's errors.
    """
    user = request.user
    if not (user.is_authenticated and user.is_active and conf().may_upload(request, field)):
        raise PermissionDenied("You may not upload here.")
    # Only who signs in by Django's session comes back with it.
    kept = getattr(request, "session", None)
    kept = kept if kept is not None and kept.session_key else None
    token = _token({} if kept is None else kept, conf().owner(user), field)
    return {
        "token": token,
        "endpoint": conf().browser_url,
        "destination": field.dest,
        "resumable": kept is not None,
    }


def _token(sessions: Any, owner: str, field: ClaimcheckField) -> str:
    """The token that the user has for this field already, so that uploads go on after a reload."""
    name, wanted = f"claimcheck {field}", conf().expires_in
    held = sessions.get(name, {})
    if (held.get("owner"), held.get("destination")) == (owner, field.dest):
        try:
            found = service.ask("GET", f"/v1/upload-sessions/{held['id']}")
        except Problem as problem:
            if problem.status != 404:
                raise
        else:
            ends = datetime.fromisoformat(found["expires_at"])
            lasts = ends - timezone.now() > timedelta(seconds=wanted / 2)
            if lasts and found["revoked_at"] is None and found["used_files"] < found["max_files"]:
                return str(held["token"])
    made = service.mint(field.dest, owner, files=_MAX_FILES, seconds=wanted)
    sessions[name] = {name: made[name] for name in ("id", "token", "owner", "destination")}
    return str(made["token"])


def _field(app: str, model: str, name: str) -> ClaimcheckField | None:
    try:
        found = apps.get_model(app, model)._meta.get_field(name)
    except (LookupError, FieldDoesNotExist):
        return None
    return found if isinstance(found, ClaimcheckField) else None


def _problem(status: int, title: str, detail: str) -> JsonResponse:
    return JsonResponse({"title": title, "detail": detail}, status=status)
