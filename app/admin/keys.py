"""The page of API keys: make one, see its token once, revoke it."""

from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.routing import route

from app.access import api_keys
from app.access.makers import MAX_LISTED
from app.admin.many import Action, act_on_many
from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, list_url
from app.core.principal import KEY_OWNER, Principal, Scope, is_name
from app.errors import InvalidCursor, Problem
from app.http.permissions import require
from app.runtime.resources import Resources
from app.staff.accounts import every_scope
from app.uploads.unsized import end_key

_ACTIONS: Final = {
    "revoke": Action(
        end_key,
        Scope.ADMIN,
        label="Revoke",
        title="Revoke these keys?",
        words="Whoever uses them is refused from now on, in other processes within five seconds, "
        "and so are the upload sessions that they made. They cannot be made good again.",
        done="revoked",
    )
}


async def _name_of(res: Resources, caller: Principal, key_id: UUID) -> str:
    return (await api_keys.get_key(res, caller, key_id)).name


class Keys(View):
    """The API keys of the tenant."""

    menu_label = "API keys"
    icon = "fa-solid fa-key"
    path = "/keys"
    scopes = (Scope.ADMIN,)

    @route("", name="keys")
    async def index(self, request: Request) -> Response:
        return await self._list(request)

    async def _list(self, request: Request, status: int = 200, **context: Any) -> Response:
        res, caller = resources_of(request), caller_of(request)
        cursor = request.query_params.get("cursor")
        try:
            keys, older = await api_keys.list_keys(res, caller, cursor=cursor, limit=PAGE)
        except InvalidCursor:
            keys, older = await api_keys.list_keys(res, caller, cursor=None, limit=PAGE)
        return await self.page(
            request,
            "keys.html",
            status,
            keys=keys,
            older=older and list_url(request, cursor=older),
            first=self.to(request) if cursor else None,
            now=res.clock(),
            actions=_ACTIONS,
            known={
                s: lets for s, lets in every_scope(res.settings).items() if s in caller.grantable
            },
            **context,
        )

    @route("/new", methods=["GET", "POST"], name="key-new")
    async def create(self, request: Request) -> Response:
        """Make a key and show its token, this once: only its hash is stored."""
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.ADMIN)
        if request.method == "GET":  # where one comes to who has had to sign in again
            return RedirectResponse(self.to(request), 303)
        form = await request.form()
        name = str(form.get("name") or "").strip()
        given_owner = str(form.get("owner") or "").strip()
        owner = given_owner or f"{KEY_OWNER}{name}"
        scopes = [str(scope) for scope in form.getlist("scopes")]
        days = str(form.get("days") or "")
        asked = {"name": name, "owner": given_owner, "scopes": scopes, "days": days}
        wrong = None
        if not (is_name(name) and is_name(owner)):
            wrong = "Give the key a name of 1 to 255 printable characters."
        elif not scopes:
            wrong = "Choose at least one thing that the key may do."
        elif not (days.isdecimal() and len(days) < 6 and int(days) <= api_keys.MAX_DAYS):
            wrong = f"A key works for 1 to {api_keys.MAX_DAYS} days, or with 0 for ever."
        if wrong:
            return await self._list(request, 422, wrong=wrong, asked=asked)
        try:
            key, token = await api_keys.create(
                res,
                caller,
                name=name,
                owner=owner,
                scopes=scopes,
                lifetime=timedelta(days=int(days)) if int(days) else None,
            )
        except Problem as problem:
            return await self._list(request, problem.status, wrong=problem.detail, asked=asked)
        return await self._list(request, made=key, token=token)

    @route("/many", methods=["POST"], name="keys-many")
    async def many(self, request: Request) -> Response:
        """Ask whether to revoke each key that was selected, and do it."""
        return await act_on_many(self, request, _ACTIONS, _name_of)

    @route("/{id}/revoke", methods=["GET", "POST"], name="key-revoke")
    async def revoke(self, request: Request) -> Response:
        res, caller, key_id = resources_of(request), caller_of(request), id_of(request)
        require(caller, Scope.ADMIN)
        subject, revoke_made, made = "", False, None
        if request.method == "GET":  # of a POST, `revoke` says itself where there is no such key
            key = await api_keys.get_key(res, caller, key_id)
            subject, made = key.name, await api_keys.keys_made(res, key)
        else:
            revoke_made = (await request.form()).get("made") == "revoke"
        return await self.confirm_and_act(
            request,
            partial(end_key, res, caller, key_id, revoke_made=revoke_made),
            subject=subject,
            made=made,
            most=MAX_LISTED,
            title="Revoke the key?",
            words="Whoever uses it is refused from now on, in other processes within five "
            "seconds, and so are the upload sessions that it made. It cannot be made good again.",
            label="Revoke the key",
            done="The key is revoked, and with it the keys that were made with it."
            if revoke_made
            else "The key is revoked.",
            then=self.to(request),
            back=self.to(request),
        )
