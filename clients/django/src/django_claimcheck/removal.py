"""The end of files that are replaced, or whose objects are deleted, once that is committed.

Signals tell of it, so `QuerySet.update()` and the `bulk_` methods change nothing at the service.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any
from urllib.parse import quote

from claimcheck_client import ClaimcheckError, Problem
from django.apps import apps
from django.db import models, router, transaction
from django.db.models import signals

from django_claimcheck import service
from django_claimcheck.fields import ClaimcheckField, claimcheck_fields
from django_claimcheck.value import ClaimcheckFile, NoFile

_BEFORE = "_claimcheck_before"
_log = logging.getLogger("django_claimcheck")


def connect() -> None:
    """Watch the models that have such fields; others are saved and deleted as before."""
    for model in apps.get_models():
        if _watched(model, None):
            signals.pre_save.connect(_before_save, model, dispatch_uid="claimcheck")
            signals.post_save.connect(_after_save, model, dispatch_uid="claimcheck")
            signals.pre_delete.connect(_before_delete, model, dispatch_uid="claimcheck")
            signals.post_delete.connect(_after_delete, model, dispatch_uid="claimcheck")


def _watched(model: type[models.Model], saved: Any) -> list[ClaimcheckField]:
    return [
        field
        for field in claimcheck_fields(model)
        if (field.attach or field.on_delete != "keep") and (saved is None or field.name in saved)
    ]


def _before_save(
    sender: type[models.Model], instance: Any, raw: bool, using: str, update_fields: Any, **_: Any
) -> None:
    _note(instance, [] if raw else _watched(sender, update_fields), using)


def _note(instance: models.Model, fields: list[ClaimcheckField], using: str) -> None:
    """Note what the row holds: the instance may be stale, changed, or without these columns."""
    found = None
    if fields and instance.pk is not None:
        found = (
            _row(type(instance), instance.pk, using).values(*(f.attname for f in fields)).first()
        )
    instance.__dict__[_BEFORE] = found or {}


def _row(model: type[models.Model], pk: Any, using: str) -> models.QuerySet[Any]:
    return model._base_manager.using(using).filter(pk=pk)


def _after_save(
    sender: type[models.Model], instance: Any, raw: bool, using: str, update_fields: Any, **_: Any
) -> None:
    before = instance.__dict__.pop(_BEFORE, {})
    for field in [] if raw else _watched(sender, update_fields):
        was = before.get(field.attname) or ""
        if was != str(getattr(instance, field.attname)):
            _on_commit(field, instance, was, using)


def _before_delete(sender: type[models.Model], instance: Any, using: str, **_: Any) -> None:
    _note(instance, _own(sender), using)


def _after_delete(sender: type[models.Model], instance: Any, using: str, **_: Any) -> None:
    before = instance.__dict__.pop(_BEFORE, {})
    for field in _own(sender):
        if was := before.get(field.attname):
            _on_commit(field, instance, was, using)


def _own(model: type[models.Model]) -> list[ClaimcheckField]:
    """Of a row that is deleted: rows of parents have signals of their own, or stay."""
    return [one for one in _watched(model, None) if one.model is model._meta.concrete_model]


def _on_commit(field: ClaimcheckField, instance: models.Model, was: str, using: str) -> None:
    tell = partial(_tell, field, type(instance), instance.pk, was, using)
    transaction.on_commit(tell, using=using, robust=True)


def _tell(field: ClaimcheckField, model: type[models.Model], pk: Any, was: str, using: str) -> None:
    """Tell the service. What is committed stays so: failures are logged."""
    # Not what was saved: somebody else may have saved the row since.
    now = _row(model, pk, using).values_list(field.attname, flat=True).first() or ""
    try:
        if field.attach:
            _attach(field, field.attach, str(pk), now)
        if was and field.on_delete != "keep":
            _remove(field, was, using)
    except ClaimcheckError as error:
        _log.error("%s of %s: the service was not told that %s has become %s: %s",
                   field, pk, was or "nothing", now or "nothing", error)  # fmt: skip


def _attach(field: ClaimcheckField, to: tuple[str, str], pk: str, now: str) -> None:
    path = f"/v1/records/{quote(to[0], safe='')}/{quote(pk, safe='')}/{quote(to[1], safe='')}"
    if now:
        service.ask("PUT", path, {"url" if field.store == "url" else "file_id": now})
    else:
        _unless_done(path)


def _remove(field: ClaimcheckField, was: str, using: str) -> None:
    """Unless another object has the file still, or a record of the service."""
    try:
        file = ClaimcheckFile(field, was).file
    except NoFile:
        return
    if _is_used([file["id"], file["url"]], using):
        return
    params = {"object": "delete"} if field.on_delete == "remove" else None
    _unless_done(f"/v1/files/{file['id']}", params=params)


def _is_used(values: list[str], using: str) -> bool:
    """Whether a row has one of these: here, or where models of other databases are written."""
    for model in apps.get_models():
        if model._meta.proxy:
            continue
        places = {router.db_for_write(model)}
        if router.allow_migrate_model(using, model):
            places.add(using)
        for field in claimcheck_fields(model):
            if field.model is not model:
                continue  # inherited: the table is another model's
            held = {f"{field.name}__in": values}
            if any(model._base_manager.using(place).filter(**held).exists() for place in places):
                return True
    return False


def _unless_done(path: str, **options: Any) -> None:
    """Delete what may be gone already, or be held by a record of the service: then it stays."""
    try:
        service.ask("DELETE", path, **options)
    except Problem as problem:
        if problem.status != 404 and problem.type != "file-in-use":
            raise
