"""Pages of records: search, and a form that changes a record's fields with the upload field."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from app.admin.files import links_to
from app.admin.previews import is_picture, is_thumbnail
from app.admin.sending import session_for
from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, list_url, may, message_of, origins_of
from app.core.preconditions import Preconditions
from app.core.principal import Principal, Scope, is_name, missing_scopes
from app.core.record_field import RecordField, is_record_id
from app.errors import Problem, RecordNotFound
from app.files.links import Link
from app.files.reading import find_by_ids
from app.http.permissions import require
from app.models.files import File
from app.records.fields import declared_field, declared_fields, etag_of
from app.records.reading import Fields, get_record
from app.records.writing import change_record, forget_record
from app.staff.search import search_records

# Extra uploads of a session, for uploads that are tried again.
_SPARE: Final = 5


class FormField(NamedTuple):
    """A field of the record form: its files, and whether and how it can be changed."""

    name: str
    field: RecordField
    files: Sequence[File]
    is_fixed: bool
    accept: str
    max_size: int


class Records(View):
    """The records of one type at a time; the types are settings."""

    menu_label = "Records"
    icon = "fa-solid fa-table-list"
    path = "/records"
    scopes = (Scope.RECORDS_READ,)

    @route("", name="records")
    async def index(self, request: Request) -> Response:
        types = sorted(resources_of(request).settings.records)
        if types:
            return RedirectResponse(self.to(request, f"/{types[0]}"), 303)
        return await self.page(request, "records-none.html")

    @route("/{type}", name="records-of")
    async def of_type(self, request: Request) -> Response:
        res, kind = resources_of(request), request.path_params["type"]
        asked = request.query_params
        place = {
            name: asked[name]
            for name in ("after", "before")
            if name in asked and is_record_id(asked[name])
        }
        prefix = asked.get("q", "").strip()
        if prefix and not is_record_id(prefix):
            prefix = ""
        found = await search_records(
            res, caller_of(request), kind, prefix=prefix, **place, limit=PAGE
        )
        links = await self._links(request, [f for one in found.records for f in _all(one)])
        return await self.page(
            request,
            "records.html",
            stores={"img": origins_of(links.values())},
            title=kind.capitalize(),
            kind=kind,
            types=sorted(res.settings.records),
            fields=declared_fields(res, kind),
            found=found,
            prefix=prefix,
            links=links,
            is_thumbnail=is_thumbnail,
            newer=found.earlier and list_url(request, before=found.earlier),
            older=found.later and list_url(request, after=found.later),
            may_write=_may_write(request),
        )

    def _record(self, request: Request, kind: str, record_id: str) -> str:
        """The URL of a record's page; its id may hold characters that URLs reserve."""
        return self.to(request, f"/{kind}/of/{quote(record_id, safe='')}")

    async def _links(self, request: Request, files: Sequence[File]) -> dict[UUID, Link]:
        return await links_to(resources_of(request), files)

    @route("/{type}/new", methods=["GET", "POST"], name="record-new")
    async def create(self, request: Request) -> Response:
        res, kind = resources_of(request), request.path_params["type"]
        fields = declared_fields(res, kind)
        require(caller_of(request), Scope.RECORDS_WRITE)
        if request.method == "GET":
            return await self._form(request, kind, {})
        form = await request.form()
        record_id = str(form.get("record-id") or "").strip()
        owner = str(form.get("owner") or "").strip() or caller_of(request).owner
        given = _given(form, fields)
        wrong = None
        if not is_record_id(record_id):
            wrong = "The id must be 1 to 200 visible ASCII characters without “/” and “,”."
        elif not is_name(owner):
            wrong = "The owner must be printable, with 1 to 255 characters."
        elif not any(given.values()):
            wrong = "Choose at least one file: a record is made by what it holds."
        if wrong is None:
            # Staff act for their whole tenant, so they may make records and keys of other owners.
            maker = dataclasses.replace(caller_of(request), owner=owner)
            wrong = await self._save(request, maker, kind, record_id, given, None)
        if wrong is None:
            return self._saved(request, kind, record_id)
        given_owner = str(form.get("owner") or "")
        return await self._form(
            request, kind, given, wrong=wrong, record_id=record_id, owner=given_owner
        )

    @route("/{type}/of/{id}", methods=["GET", "POST"], name="record")
    async def edit(self, request: Request) -> Response:
        res, caller = resources_of(request), caller_of(request)
        kind, record_id = request.path_params["type"], request.path_params["id"]
        found = await get_record(res, caller, kind, record_id)
        given: dict[str, list[UUID]] = {}
        wrong = None
        if request.method == "POST":
            form = await request.form()
            given = _given(form, declared_fields(res, kind))
            etag = str(form.get("etag") or "")
            wrong = await self._save(request, caller, kind, record_id, given, etag)
            if wrong is None:
                return self._saved(request, kind, record_id)
            found = await get_record(res, caller, kind, record_id)
        held: dict[str, Sequence[File] | Sequence[UUID]] = {**found.files, **given}
        return await self._form(
            request, kind, held, record=found.record, record_id=record_id, wrong=wrong
        )

    def _saved(self, request: Request, kind: str, record_id: str) -> Response:
        flash(request, f"{kind.capitalize()} {record_id} is saved.", "success")
        return RedirectResponse(self._record(request, kind, record_id), 303)

    async def _save(
        self,
        request: Request,
        caller: Principal,
        kind: str,
        record_id: str,
        given: Mapping[str, Sequence[UUID]],
        etag: str | None,
    ) -> str | None:
        """Save the fields in one change; None, or the message of what was wrong.

        The record must be as the form showed it (`etag` None: it must not exist), so that no change
        of somebody else is overwritten unseen.
        """
        asked = _NEW if etag is None else Preconditions(match=frozenset({etag}))
        try:
            require(caller, Scope.RECORDS_WRITE)
            await change_record(resources_of(request), caller, kind, record_id, given, asked)
        except Problem as problem:
            return _save_error(problem)
        return None

    async def _form(
        self,
        request: Request,
        kind: str,
        held: Mapping[str, Sequence[File] | Sequence[UUID]],
        *,
        wrong: str | None = None,
        **context: Any,
    ) -> Response:
        res, caller = resources_of(request), caller_of(request)
        fields = []
        for name, field in declared_fields(res, kind).items():
            destination = res.settings.destinations[field.destination]
            files = await self._files(request, held.get(name, ()))
            is_fixed = (
                bool(missing_scopes(field.scopes, caller.scopes))
                or not _may_write(request)
                or not destination.admits(caller)
            )
            accept = [*destination.content_types, *(f".{e}" for e in destination.extensions)]
            fields.append(
                FormField(name, field, files, is_fixed, ",".join(accept), destination.max_size)
            )
        record = context.pop("record", None)
        shown = [file for one in fields for file in one.files]
        links = await self._links(request, shown)
        to = res.settings.destinations
        sent = {to[one.field.destination].address.origin for one in fields}
        return await self.page(
            request,
            "record.html",
            422 if wrong else 200,
            stores={"img": sent | origins_of(links.values()), "connect": sent},
            title=f"{kind.capitalize()} {context['record_id']}" if record else f"New {kind}",
            kind=kind,
            record=record,
            etag=record and etag_of(record),
            fields=fields,
            links=links,
            is_picture=is_picture,
            wrong=wrong,
            may_write=_may_write(request),
            **context,
        )

    async def _files(
        self, request: Request, given: Sequence[File] | Sequence[UUID]
    ) -> Sequence[File]:
        """The files themselves, for ids those that exist."""
        ids = [one for one in given if isinstance(one, UUID)]
        found = await find_by_ids(resources_of(request), caller_of(request), ids) if ids else []
        return [*(one for one in given if isinstance(one, File)), *(f for f in found if f)]

    @route("/{type}/fields/{field}/session", methods=["POST"], name="record-upload")
    async def session(self, request: Request) -> Response:
        """The token of an upload session for the field's destination, and nothing else."""
        kind, name = request.path_params["type"], request.path_params["field"]
        try:
            field = declared_field(resources_of(request), kind, name)
        except Problem as problem:
            return JSONResponse({"title": problem.title, "detail": problem.detail}, problem.status)
        return await session_for(
            request,
            field.destination,
            owner="",
            max_files=2 * field.capacity + _SPARE,
            scopes=(Scope.RECORDS_WRITE, Scope.UPLOADS_WRITE),
        )

    @route("/{type}/of/{id}/forget", methods=["GET", "POST"], name="record-forget")
    async def forget(self, request: Request) -> Response:
        res, caller = resources_of(request), caller_of(request)
        kind, record_id = request.path_params["type"], request.path_params["id"]
        require(caller, Scope.RECORDS_WRITE)
        await get_record(res, caller, kind, record_id)
        return await self.confirm_and_act(
            request,
            partial(forget_record, res, caller, kind, record_id),
            subject=f"{kind} {record_id}",
            title="Forget the record?",
            words="Its fields are emptied and it is gone from here. Its files stay, and so do "
            "their objects in the bucket.",
            label="Forget the record",
            done=f"{kind.capitalize()} {record_id} is forgotten. Its files are still there.",
            then=self.to(request, f"/{kind}"),
            back=self._record(request, kind, record_id),
        )


_NEW: Final = Preconditions(none_match=frozenset({"*"}))


def _may_write(request: Request) -> bool:
    return may(request, Scope.RECORDS_WRITE, Scope.UPLOADS_WRITE)


def _all(found: Fields) -> list[File]:
    return [file for files in found.files.values() for file in files]


def _given(form: Any, fields: Mapping[str, RecordField]) -> dict[str, list[UUID]]:
    """The file ids by field name, without fields that the form does not have."""
    given: dict[str, list[UUID]] = {}
    for name in fields:
        values = [str(value) for value in form.getlist(f"field-{name}")]
        if not values:
            continue
        try:
            given[name] = list(dict.fromkeys(UUID(value) for value in values if value))
        except ValueError:
            raise HTTPException(400, "The form names a file that is none.") from None
    return given


def _save_error(problem: Problem) -> str:
    """The message for a change that failed."""
    if problem.status == 412:
        return (
            "Somebody else has changed this record since you opened it, or there is one with this "
            "id already. What is shown now is what it holds, with your files; look, and save again."
        )
    if isinstance(problem, RecordNotFound):
        return "The record was forgotten since you opened it."
    return message_of(problem)
