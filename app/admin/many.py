"""Act on many files, uploads or keys at once: asked for once more, and told of each."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash

from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, message_of
from app.core.principal import Principal, Scope
from app.errors import Problem
from app.http.permissions import require
from app.runtime.resources import Resources
from app.store.credentials import CredentialsUnavailable

# Of a selection so many are acted on at once: each may be several calls to a bucket.
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Action:
    """An action on each of a selection: what it is called, asked and told with.

    `done` is the word beside each that it was done to.
    """

    act: Callable[[Resources, Principal, UUID], Awaitable[object]]
    scope: Scope
    label: str
    title: str
    words: str
    done: str
    is_harmless: bool = False


async def act_on_many(
    view: View,
    request: Request,
    actions: Mapping[str, Action],
    name_of: Callable[[Resources, Principal, UUID], Awaitable[str]],
) -> Response:
    """For a form with a selection, `id`, and an `action` ask for confirmation; for the form of
    that question, which has `sure`, do it, and say of each what became of it.

    What one of them refuses holds up none of the others. `name_of` raises Problem for what is not
    the caller's.
    """
    res, caller = resources_of(request), caller_of(request)
    form = await request.form()
    action = actions.get(str(form.get("action")))
    if action is None:
        raise HTTPException(400, "The form asks for nothing that is done here.")
    require(caller, action.scope)
    back = f"{view.to(request)}?{form.get('list') or ''}".removesuffix("?")
    ids = _ids([str(value) for value in form.getlist("id")])
    if not ids:
        flash(request, "Nothing is selected: tick the boxes of those that you mean.", "error")
        return RedirectResponse(back, 303)
    if len(ids) > PAGE:
        raise HTTPException(400, f"Select at most {PAGE} at once.")
    names = await _each(ids, lambda one: name_of(res, caller, one))
    refused = {one: name for one, name in names.items() if isinstance(name, Problem)}
    found = {one: str(name) for one, name in names.items() if one not in refused}
    asked: dict[str, Any] = {
        "action": action,
        "slug": form.get("action"),
        "back": back,
        "list": form.get("list"),
    }
    if form.get("sure") is None:
        return await view.page(
            request, "many.html", title=action.title, found=found, lost=len(refused), **asked
        )
    outcomes = await _each(list(found), lambda one: action.act(res, caller, one))
    refused |= {one: outcome for one, outcome in outcomes.items() if isinstance(outcome, Problem)}
    return await view.page(
        request,
        "many-done.html",
        title=f"{len(ids) - len(refused)} of {len(ids)} {action.done}",
        results=[
            (found.get(one, str(one)), message_of(refused[one]) if one in refused else None)
            for one in ids
        ],
        **asked,
    )


def _ids(values: Sequence[str]) -> list[UUID]:
    try:
        return list(dict.fromkeys(UUID(value) for value in values))
    except ValueError:
        raise HTTPException(400, "The form names something that is not there.") from None


async def _each(
    ids: Sequence[UUID], do: Callable[[UUID], Awaitable[object]]
) -> dict[UUID, object | Problem]:
    """The outcome of each, a few of them at once. Raises the first failure that is no Problem, once
    the others have ended.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(which: UUID) -> object | Problem:
        async with turn:
            try:
                return await do(which)
            except CredentialsUnavailable as error:
                return error.as_problem()
            except Problem as problem:
                return problem

    outcomes = await asyncio.gather(*map(one, ids), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Problem):
            raise outcome
    return dict(zip(ids, outcomes, strict=True))
