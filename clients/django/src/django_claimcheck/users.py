"""Who is signed in, under which name their files are kept, and whether they may upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField

_request: ContextVar[HttpRequest | None] = ContextVar("claimcheck_request", default=None)
_user: ContextVar[Any] = ContextVar("claimcheck_user", default=None)


@sync_and_async_middleware
def claimcheck_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Let forms and serializers know whose request it is: those of Django do not say."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            token = _request.set(request)
            try:
                found: HttpResponseBase = await get_response(request)
                return found
            finally:
                _request.reset(token)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        token = _request.set(request)
        try:
            found: HttpResponseBase = get_response(request)
            return found
        finally:
            _request.reset(token)

    return answer


def shown_values() -> list[Any]:
    """Values that forms of this request have begun with; elsewhere an empty list."""
    request = _request.get()
    if request is None:
        return []
    seen: list[Any] = request.__dict__.setdefault("_claimcheck_shown", [])
    return seen


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Outside of requests: forms and serializers take the files of this user."""
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)


def current_user() -> Any:
    """The user who is signed in and active, or None."""
    request = _request.get()
    user = _user.get() or getattr(request, "user", None)
    return user if user is not None and user.is_authenticated and user.is_active else None


def owner_of(user: Any) -> str:
    """The owner, at the service, of what this user uploads."""
    return f"django:{user.pk}"


def may_upload(request: HttpRequest, field: ClaimcheckField) -> bool:
    """Whether somebody who is signed in may upload for a field.

    They may add or change objects of its model, or of one that inherits from it: by their
    permissions, or in an admin of theirs, also as an inline.
    """
    user: Any = request.user
    for model in apps.get_models():
        if issubclass(model, field.model):
            label, name = model._meta.app_label, model._meta.model_name
            if any(user.has_perm(f"{label}.{act}_{name}") for act in ("add", "change")):
                return True
    return _may_in_an_admin(request, field.model)


def _may_in_an_admin(request: HttpRequest, model: Any) -> bool:
    if not apps.is_installed("django.contrib.admin"):
        return False
    from django.contrib.admin.sites import all_sites

    for site in all_sites:
        if not site.has_permission(request):
            continue
        for one in site._registry.values():
            parts = [one, *one.get_inline_instances(request)]
            for part in parts:
                if issubclass(part.model, model) and (
                    part.has_add_permission(request, *([None] if part is not one else []))
                    or part.has_change_permission(request)
                ):
                    return True
    return False
