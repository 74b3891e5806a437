"""The page of uploads: announced, and not confirmed."""

from functools import partial
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from app.admin.files import ACTIONS
from app.admin.many import act_on_many
from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, list_url, position
from app.core.principal import Principal, Scope
from app.db.search import Search
from app.http.permissions import require
from app.models.files import State
from app.runtime.resources import Resources
from app.staff.search import search_files
from app.uploads.lookup import get_upload
from app.uploads.remove import cancel_upload


async def _name_of(res: Resources, caller: Principal, upload_id: UUID) -> str:
    return (await get_upload(res, caller, upload_id)).filename


_SHOWN = (State.PENDING, State.COMPLETING, State.REJECTED)


class Uploads(View):
    """Uploads that are pending, completing or rejected; each can be aborted."""

    menu_label = "Uploads"
    icon = "fa-solid fa-cloud-arrow-up"
    path = "/uploads"
    scopes = (Scope.UPLOADS_WRITE,)

    @route("", name="uploads")
    async def index(self, request: Request) -> Response:
        asked = request.query_params.get("state")
        state = next((one for one in _SHOWN if one == asked), State.PENDING)
        found = await search_files(
            resources_of(request),
            caller_of(request),
            Search(state=state),
            **position(request),
            limit=PAGE,
        )
        return await self.page(
            request,
            "uploads.html",
            title="Uploads",
            found=found,
            state=state,
            states=[(one, list_url(request, state=one.value)) for one in _SHOWN],
            newer=found.newer and list_url(request, before=found.newer),
            older=found.older and list_url(request, after=found.older),
            now=resources_of(request).clock(),
            actions={"abort": ACTIONS["abort"]} if state != State.COMPLETING else {},
        )

    @route("/many", methods=["POST"], name="uploads-many")
    async def many(self, request: Request) -> Response:
        """Ask whether to abort each upload that was selected, and do it."""
        return await act_on_many(self, request, {"abort": ACTIONS["abort"]}, _name_of)

    @route("/{id}/abort", methods=["GET", "POST"], name="upload-abort")
    async def abort(self, request: Request) -> Response:
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.UPLOADS_WRITE)
        upload = await get_upload(res, caller, id_of(request))
        if upload.state not in _SHOWN:
            raise HTTPException(404, f"This upload is over: it is {upload.state}.")
        back = self.to(request, f"?state={upload.state}")
        return await self.confirm_and_act(
            request,
            partial(cancel_upload, res, caller, upload.id),
            subject=upload.filename,
            title="Abort the upload?",
            words="What has arrived of it is deleted. Whoever is sending it is told that there "
            "is no such upload any more.",
            label="Abort the upload",
            done=f"The upload of {upload.filename} is aborted.",
            then=back,
            back=back,
        )
