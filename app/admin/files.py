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

from app.admin.many import Action, act_on_many
from app.admin.previews import (
    READ_BY,
    TEXT_BYTES,
    is_on_request,
    is_thumbnail,
    preview_link,
    preview_of,
)
from app.admin.sending import MOST_FILES, session_for, upload_page
from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, list_url, may, origins_of, position
from app.core.content_types import normalize_content_type
from app.core.ids import first_uuid7
from app.core.metadata import as_lines, read_lines, read_metadata
from app.core.principal import MAX_NAME, Principal, Scope, is_name
from app.db.search import Order, Search
from app.errors import Problem
from app.files.links import Link, read_link, read_links, scan_of
from app.files.reading import get_file
from app.http.permissions import require
from app.models.files import File, State
from app.records.reading import uses_of
from app.runtime.resources import Resources
from app.scans.verdicts import clear_file
from app.staff.search import any_file, search_events, search_files
from app.uploads.change import FileChange, change_file
from app.uploads.remove import cancel_upload, release_file, remove_file
from app.uploads.restore import restore_file

# What can be done to many files at once.
ACTIONS: Final = {
    "release": Action(
        release_file,
        Scope.FILES_DELETE,
        label="Forget",
        title="Forget these files, and keep their objects?",
        words="Nobody finds them through Claimcheck any more, and links to them are not made "
        "again. Their objects stay in the bucket.",
        done="forgotten",
    ),
    "delete": Action(
        remove_file,
        Scope.FILES_DELETE,
        label="Delete",
        title="Delete these files and their objects?",
        words="Their objects go from the bucket, with every version. Nobody can bring them back.",
        done="deleted",
    ),
    "restore": Action(
        restore_file,
        Scope.FILES_DELETE,
        label="Take back",
        title="Take these files back?",
        words="They are found again, and links to them are made, where the object is still the "
        "one that was confirmed.",
        done="taken back",
        is_harmless=True,
    ),
    "abort": Action(
        cancel_upload,
        Scope.UPLOADS_WRITE,
        label="Abort",
        title="Abort these uploads?",
        words="What has arrived of them is deleted.",
        done="aborted",
    ),
}
_IN_STATE: Final = {
    State.CONFIRMED: ("release", "delete"),
    State.RELEASED: ("restore",),
    State.PENDING: ("abort",),
    State.REJECTED: ("abort",),
}
_USES: Final = 20
_EVENTS: Final = 20
# Within these years a day can be added without overflow; UUIDv7 begins in 1970.
_YEARS: Final = range(1971, 9999)


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


def _actions_for(request: Request, shown: Sequence[File]) -> dict[str, Action]:
    """Actions that the caller may do to files in some of these files' states."""
    slugs = {slug for file in shown for slug in _IN_STATE.get(State(file.state), ())}
    return {
        slug: action
        for slug, action in ACTIONS.items()
        if slug in slugs and may(request, action.scope)
    }


def _sorts(request: Request, search: Search) -> dict[str, dict[str, str]]:
    """For each column that the list can go by: where it then is, and which way it goes now."""
    ways = {"size": (Order.LARGEST, Order.SMALLEST), "announced": (Order.NEWEST, Order.OLDEST)}
    if search.state is not State.CONFIRMED:
        del ways["size"]
    return {
        column: {
            "url": list_url(request, order=up if search.order is down else down),
            "now": {down: "descending", up: "ascending"}.get(search.order, "none"),
        }
        for column, (down, up) in ways.items()
        # What is looked for by words is found newest first.
        if not search.q
    }


async def _name_of(res: Resources, caller: Principal, file_id: UUID) -> str:
    return (await any_file(res, caller, file_id)).filename


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
        links = await links_to(res, confirmed)
        shown = [links[file.id] for file in confirmed if file.id in links and is_thumbnail(file)]
        asked = request.query_params
        return await self.page(
            request,
            "files.html",
            stores={"img": origins_of(shown)},
            search=search,
            found=found,
            sorts=_sorts(request, search),
            actions=_actions_for(request, found.files),
            may_upload=may(request, Scope.UPLOADS_WRITE),
            past="after" in asked or "before" in asked,
            links=links,
            is_thumbnail=is_thumbnail,
            asked=asked,
            states=list(State),
            destinations=sorted(res.settings.destinations),
            newer=found.newer and list_url(request, before=found.newer),
            older=found.older and list_url(request, after=found.older),
            clear=self.to(request),
            is_narrowed=search != Search(),
            is_more=any(asked_for),
        )

    @route("/many", methods=["POST"], name="files-many")
    async def many(self, request: Request) -> Response:
        """Ask whether to act on each file that was selected, and do it."""
        return await act_on_many(self, request, ACTIONS, _name_of)

    @route("/upload", name="files-upload")
    async def upload(self, request: Request) -> Response:
        return await upload_page(self, request)

    @route("/upload/session", methods=["POST"], name="files-upload-session")
    async def session(self, request: Request) -> Response:
        """The token of an upload session for what the page's address says, and nothing else."""
        asked = request.query_params
        owner = asked.get("owner", "")
        return await session_for(
            request,
            asked.get("destination", ""),
            owner=owner if is_name(owner) else "",
            max_files=MOST_FILES,
            scopes=(Scope.UPLOADS_WRITE,),
        )

    async def _file(self, request: Request) -> File:
        return await get_file(resources_of(request), caller_of(request), id_of(request))

    @route("/{id}", name="file-page")
    async def show(self, request: Request) -> Response:
        res, caller = resources_of(request), caller_of(request)
        file = await self._file(request)
        links = await links_to(res, [file])
        link = links.get(file.id)
        preview, shown, events = preview_of(file), None, []
        is_asked = not is_on_request(file) or request.query_params.get("show") == "1"
        # What may not be read has no link, and is not shown either.
        if preview and link and is_asked:
            shown = await preview_link(res, file, link)
        if may(request, Scope.EVENTS_READ):
            events = await search_events(res, caller, str(file.id), limit=_EVENTS)
        return await self.page(
            request,
            "file.html",
            stores={READ_BY[preview]: origins_of([shown])} if preview and shown else {},
            title=file.filename,
            file=file,
            link=link,
            scan=scan_of(res, file),
            preview=preview if link else None,
            shown=shown,
            text_bytes=TEXT_BYTES,
            metadata=read_metadata(file.metadata),
            image=file.image and from_json(file.image),
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
