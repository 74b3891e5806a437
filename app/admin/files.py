"""Pages of files: search, one file, and forms that forget or delete it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, list_url, may, position
from app.core.content_types import essence, normalize_content_type
from app.core.ids import first_uuid7
from app.core.metadata import as_lines, read_lines, read_metadata
from app.core.parts import MIB
from app.core.principal import MAX_NAME, Scope
from app.db.search import Order, Search
from app.errors import Problem
from app.files.links import Link, read_link, read_links, scan_of
from app.files.reading import get_file
from app.http.permissions import require
from app.models.files import File, State
from app.records.reading import uses_of
from app.runtime.resources import Resources
from app.scans.verdicts import clear_file
from app.staff.search import search_events, search_files
from app.uploads.change import FileChange, change_file
from app.uploads.remove import release_file, remove_file

# Types that browsers show as an image, with no script in it, and decode fast enough for a list.
_RASTER: Final = frozenset(
    {"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/avif", "image/bmp"}
)
_LARGEST_PICTURE: Final = 30 * MIB
# Thumbnails are the files themselves, and a list may show fifty.
_LARGEST_THUMBNAIL: Final = 2 * MIB
_USES: Final = 20
_EVENTS: Final = 20
# Within these years a day can be added without overflow; UUIDv7 begins in 1970.
_YEARS: Final = range(1971, 9999)


def is_picture(file: File, largest: int = _LARGEST_PICTURE) -> bool:
    """Whether a page shows the file as an image: a raster image of at most `largest` bytes."""
    kinds = {essence(file.content_type), essence(file.detected_type or file.content_type)}
    return kinds <= _RASTER and (file.size or 0) <= largest


def is_thumbnail(file: File) -> bool:
    """Whether a list shows the file as an image, rather than its extension."""
    return is_picture(file, _LARGEST_THUMBNAIL)


async def links_to(res: Resources, files: Sequence[File]) -> dict[UUID, Link]:
    """Links by the ids of the files, without those that may not be read."""
    found = zip(files, await read_links(res, files), strict=True)
    return {file.id: link for file, link in found if isinstance(link, Link)}


def _day(text: str | None) -> datetime | None:
    try:
        day = datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def _search(request: Request) -> Search:
    """The search from the form's query parameters, without values that are not valid."""
    asked = request.query_params
    given = {
        name: (asked.get(name) or "").strip()[:MAX_NAME]
        for name in ("q", "destination", "owner", "type")
    }
    since, until = _day(asked.get("since")), _day(asked.get("until"))
    state = asked.get("state") or State.CONFIRMED
    order = asked.get("order") or Order.NEWEST
    kind = normalize_content_type(given["type"]) if given["type"] else ""
    if kind and "/" not in kind:
        kind = f"{kind}/*"
    return Search(
        state=State(state) if state in set(State) else State.CONFIRMED,
        q=given["q"].replace("\0", ""),
        order=Order(order) if order in set(Order) else Order.NEWEST,
        destination=given["destination"].replace("\0", "") or None,
        owner=given["owner"].replace("\0", "") or None,
        content_type=kind.replace("\0", "") or None,
        first=first_uuid7(since) if since else None,
        end=first_uuid7(until + timedelta(days=1)) if until else None,
        loose=asked.get("loose") == "1",
    )


class Files(View):
    """The files of the tenant."""

    menu_label = "Files"
    icon = "fa-solid fa-photo-film"
    path = "/files"
    scopes = (Scope.FILES_READ,)

    @route("", name="files")
    async def index(self, request: Request) -> Response:
        res = resources_of(request)
        search = _search(request)
        found = await search_files(res, caller_of(request), search, **position(request), limit=PAGE)
        asked_for = (search.owner, search.content_type, search.first, search.end, search.loose)
        confirmed = [file for file in found.files if file.state == State.CONFIRMED]
        return await self.page(
            request,
            "files.html",
            search=search,
            found=found,
            links=await links_to(res, confirmed),
            is_thumbnail=is_thumbnail,
            asked=request.query_params,
            states=list(State),
            destinations=sorted(res.settings.destinations),
            newer=found.newer and list_url(request, before=found.newer),
            older=found.older and list_url(request, after=found.older),
            clear=self.to(request),
            is_narrowed=search != Search(),
            is_more=any(asked_for),
        )

    async def _file(self, request: Request) -> File:
        return await get_file(resources_of(request), caller_of(request), id_of(request))

    @route("/{id}", name="file-page")
    async def show(self, request: Request) -> Response:
        res, caller = resources_of(request), caller_of(request)
        file = await self._file(request)
        links = await links_to(res, [file])
        events = []
        if may(request, Scope.EVENTS_READ):
            events = await search_events(res, caller, str(file.id), limit=_EVENTS)
        return await self.page(
            request,
            "file.html",
            title=file.filename,
            file=file,
            link=links.get(file.id),
            scan=scan_of(res, file),
            metadata=read_metadata(file.metadata),
            image=file.image and from_json(file.image),
            is_picture=is_picture(file),
            uses=await uses_of(res, caller, file, _USES),
            events=events,
            most_events=_EVENTS,
        )

    @route("/{id}/change", methods=["GET", "POST"], name="file-change")
    async def change(self, request: Request) -> Response:
        """A form with the name and the metadata, and what its POST asks for."""
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.UPLOADS_WRITE)
        file = await self._file(request)
        if request.method == "GET":
            return await self._change_form(request, file, file.filename, as_lines(file.metadata))
        form = await request.form()
        name, lines = str(form.get("filename") or ""), str(form.get("metadata") or "")
        try:
            metadata = read_metadata(read_lines(lines))
            asked = FileChange(filename=name, metadata=metadata, replaces=True)
            await change_file(res, caller, file.id, asked)
        except ValueError as error:
            return await self._change_form(request, file, name, lines, f"Metadata: {error}.", 422)
        except Problem as problem:
            return await self._change_form(
                request, file, name, lines, problem.detail, problem.status
            )
        flash(request, "The file is changed.", "success")
        return RedirectResponse(self.to(request, f"/{file.id}"), 303)

    async def _change_form(
        self,
        request: Request,
        file: File,
        name: str,
        lines: str,
        wrong: str | None = None,
        status: int = 200,
    ) -> Response:
        return await self.page(
            request,
            "change.html",
            status,
            title="Change name and metadata",
            file=file,
            name=name,
            lines=lines,
            wrong=wrong,
        )

    @route("/{id}/open", name="file-open")
    async def open(self, request: Request) -> Response:
        """Redirect to a fresh link, for pages that are open longer than their links are valid."""
        link = await read_link(resources_of(request), await self._file(request))
        response = RedirectResponse("", 302)
        # Set directly, because it is quoted already.
        response.headers["Location"] = link.url
        return response

    @route("/{id}/clear", methods=["GET", "POST"], name="file-clear")
    async def clear(self, request: Request) -> Response:
        """A form for the reason why a file is released from quarantine, and its POST."""
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.SCANS_WRITE)
        file, reason, wrong = await self._file(request), "", None
        if request.method == "POST":
            reason = str((await request.form()).get("reason") or "").strip()
            try:
                await clear_file(res, caller, file.id, reason)
            except ValueError as error:
                wrong = str(error)
            except Problem as problem:
                wrong = problem.detail
            else:
                flash(request, f"{file.filename} is released from quarantine.", "success")
                return RedirectResponse(self.to(request, f"/{file.id}"), 303)
        return await self.page(
            request,
            "clear.html",
            422 if wrong else 200,
            title="Release from quarantine",
            file=file,
            reason=reason,
            wrong=wrong,
        )

    @route("/{id}/release", methods=["GET", "POST"], name="file-release")
    async def release(self, request: Request) -> Response:
        return await self._remove(
            request,
            release_file,
            title="Forget the file, and keep its object?",
            words="Nobody finds the file through Claimcheck any more, and links to it are not "
            "made again. Its object stays in the bucket, and the URL that others keep stays right.",
            label="Forget the file",
            done="{name} is forgotten. Its object is still in the bucket.",
        )

    @route("/{id}/delete", methods=["GET", "POST"], name="file-delete")
    async def delete(self, request: Request) -> Response:
        return await self._remove(
            request,
            remove_file,
            title="Delete the file and its object?",
            words="The object goes from the bucket, with every version of it. Nobody can bring "
            "it back.",
            label="Delete file and object",
            done="{name} is deleted, and its object with it.",
        )

    async def _remove(
        self, request: Request, remove: Any, *, done: str, **question: Any
    ) -> Response:
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.FILES_DELETE)
        file = await self._file(request)
        return await self.confirm_and_act(
            request,
            partial(remove, res, caller, file.id),
            done=done.format(name=file.filename),
            then=self.to(request),
            back=self.to(request, f"/{file.id}"),
            subject=file.filename,
            **question,
        )
