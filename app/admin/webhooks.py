"""Pages of webhooks: make one, see its secret once, and see what it took and what it did not."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, id_of, may
from app.core.principal import Scope
from app.errors import InvalidCursor, Problem, ValidationFailed
from app.events import webhooks
from app.http.permissions import require
from app.http.webhook_bodies import SecretWanted, WebhookWanted
from app.models.events import EventType
from app.models.webhooks import DeliveryState, Webhook

# A test event goes to its webhook whatever that hears of.
_TYPES: Final = [one for one in EventType if one is not EventType.WEBHOOK_TEST]


async def _form(request: Request) -> dict[str, Any]:
    """The values of the form that makes or changes a webhook."""
    form = await request.form()
    texts = {name: str(form.get(name) or "").strip() for name in ("url", "description")}
    return texts | {
        name: [str(one) for one in form.getlist(name)] for name in ("types", "destinations")
    }


def _body(asked: dict[str, Any]) -> WebhookWanted:
    """The form as a body of the API. Raises ValidationFailed for its first mistake."""
    try:
        return WebhookWanted.model_validate(asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        sentence = f"{str(first['loc'][0]).capitalize()}: {first['msg']}."
        raise ValidationFailed(sentence) from None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC)
    except ValueError:
        return None


class Webhooks(View):
    """The webhooks of the tenant, for those who manage them, and for readers of events to see."""

    menu_label = "Webhooks"
    icon = "fa-solid fa-satellite-dish"
    path = "/webhooks"

    def is_accessible(self, request: Request) -> bool:
        return may(request, Scope.WEBHOOKS_MANAGE) or may(request, Scope.EVENTS_READ)

    @route("", methods=["GET", "POST"], name="webhooks")
    async def index(self, request: Request) -> Response:
        """The list; a POST makes a webhook, and shows its secret this once."""
        if request.method != "POST":
            return await self._list(request)
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.WEBHOOKS_MANAGE)
        asked = await _form(request)
        try:
            made, secret = await webhooks.create(res, caller, **_body(asked).model_dump())
        except Problem as problem:
            return await self._list(request, problem.status, wrong=problem.detail, asked=asked)
        return await self._show(request, made, secret=secret, is_new=True)

    async def _list(self, request: Request, status: int = 200, **context: Any) -> Response:
        found = await webhooks.list_webhooks(resources_of(request), caller_of(request))
        return await self.page(
            request,
            "webhooks.html",
            status,
            webhooks=found,
            types=_TYPES,
            destinations=sorted(resources_of(request).settings.destinations),
            **context,
        )

    async def _webhook(self, request: Request, *, to_change: bool = False) -> Webhook:
        """The webhook in the path. Raises WebhookNotFound, and InsufficientScope `to_change` it."""
        if to_change:
            require(caller_of(request), Scope.WEBHOOKS_MANAGE)
        return await webhooks.get_webhook(resources_of(request), caller_of(request), id_of(request))

    @route("/{id}", name="webhook-page")
    async def show(self, request: Request) -> Response:
        return await self._show(request, await self._webhook(request))

    async def _show(self, request: Request, webhook: Webhook, **context: Any) -> Response:
        """The page of a webhook, with its deliveries in one state, or in all."""
        res, caller = resources_of(request), caller_of(request)
        asked, cursor = request.query_params.get("state"), request.query_params.get("cursor")
        state = next((one for one in DeliveryState if one == asked), None)
        listed = partial(webhooks.list_deliveries, res, caller, webhook.id, state=state, limit=PAGE)
        try:
            found = await listed(cursor=cursor)
        except InvalidCursor:
            cursor, found = None, await listed()
        here = self._at(request, webhook)
        of_state = f"{here}?state={state}" if state else here
        older = found.cursor and f"{here}?state={state or ''}&cursor={found.cursor}"
        return await self.page(
            request,
            "webhook.html",
            title="Webhook",
            webhook=webhook,
            here=here,
            deliveries=found.deliveries,
            state=state,
            states=[(None, here), *((one, f"{here}?state={one}") for one in DeliveryState)],
            first=of_state if cursor else None,
            older=older,
            query=request.url.query,
            now=res.clock(),
            **context,
        )

    def _at(self, request: Request, webhook: Webhook) -> str:
        return self.to(request, f"/{webhook.id}")

    @route("/{id}/change", methods=["GET", "POST"], name="webhook-change")
    async def change(self, request: Request) -> Response:
        """A form with where it leads and what it hears of, and what its POST asks for."""
        res, webhook = resources_of(request), await self._webhook(request, to_change=True)
        asked, wrong, status = webhook._asdict(), None, 200
        if request.method == "POST":
            asked = await _form(request)
            try:
                changes = _body(asked).model_dump(exclude={"enabled"})
                await webhooks.change(res, caller_of(request), webhook.id, changes)
            except Problem as problem:
                wrong, status = problem.detail, problem.status
            else:
                flash(request, "The webhook is changed.", "success")
                return RedirectResponse(self._at(request, webhook), 303)
        return await self.page(
            request,
            "webhook-change.html",
            status,
            title="Change the webhook",
            webhook=webhook,
            here=self._at(request, webhook),
            asked=asked,
            wrong=wrong,
            types=_TYPES,
            # One that the settings do not have any more is kept until it is taken out here.
            destinations=sorted({*res.settings.destinations, *webhook.destinations}),
        )

    @route("/{id}/rotate", methods=["GET", "POST"], name="webhook-rotate")
    async def rotate(self, request: Request) -> Response:
        """Ask for how long both secrets are to be valid; then show the new one, this once."""
        webhook = await self._webhook(request, to_change=True)
        wrong = None
        if request.method == "POST":
            hours = str((await request.form()).get("hours") or "")
            try:
                wanted = SecretWanted(both_valid_hours=int(hours))
            except ValueError:  # ValidationError is one, too
                wrong = "Both are valid for 0 to 168 hours."
            else:
                webhook, secret = await webhooks.rotate_secret(
                    resources_of(request),
                    caller_of(request),
                    webhook.id,
                    timedelta(hours=wanted.both_valid_hours),
                )
                return await self._show(request, webhook, secret=secret)
        return await self.page(
            request,
            "webhook-rotate.html",
            422 if wrong else 200,
            title="Make a new secret?",
            subject=webhook.url,
            words="It is shown once. Until the time is over payloads are signed with both, so "
            "that the receiver can take the new one up in the meantime. With 0 hours the old one "
            "is void at once.",
            label="Make a new secret",
            is_harmless=True,
            back=self._at(request, webhook),
            wrong=wrong,
        )

    async def _ask_and_do(self, request: Request, act: Any, **question: Any) -> Response:
        """Ask and do `act` with the webhook in the path, and go back to where it was asked from."""
        webhook = await self._webhook(request, to_change=True)
        here = self._at(request, webhook)
        back = f"{here}?{request.url.query}" if request.url.query else here
        return await self.confirm_and_act(
            request,
            partial(act, resources_of(request), caller_of(request), webhook.id),
            subject=webhook.url,
            back=back,
            **{"then": back, **question},
        )

    @route("/{id}/on", methods=["GET", "POST"], name="webhook-on")
    async def switch_on(self, request: Request) -> Response:
        return await self._ask_and_do(
            request,
            partial(webhooks.change, changes={"enabled": True}),
            title="Switch the webhook on?",
            words="It goes on with what it had not taken. What happened while it was off was not "
            "kept for it.",
            label="Switch it on",
            is_harmless=True,
            done="The webhook is on.",
        )

    @route("/{id}/off", methods=["GET", "POST"], name="webhook-off")
    async def switch_off(self, request: Request) -> Response:
        return await self._ask_and_do(
            request,
            partial(webhooks.change, changes={"enabled": False}),
            title="Switch the webhook off?",
            words="What happens while it is off is not kept for it. What it has not taken before "
            "stays, until events are not kept any more.",
            label="Switch it off",
            done="The webhook is off.",
        )

    @route("/{id}/delete", methods=["GET", "POST"], name="webhook-delete")
    async def delete(self, request: Request) -> Response:
        return await self._ask_and_do(
            request,
            webhooks.delete,
            title="Delete the webhook?",
            words="What it has not taken goes with it, and so does the list of what it took. Its "
            "secret is void.",
            label="Delete the webhook",
            done="The webhook is deleted.",
            then=self.to(request),
        )

    @route("/{id}/test", methods=["GET", "POST"], name="webhook-test")
    async def test(self, request: Request) -> Response:
        return await self._ask_and_do(
            request,
            webhooks.send_test,
            title="Send a test event?",
            words="A webhook.test, to this webhook alone.",
            label="Send it",
            is_harmless=True,
            done="A test event is on its way. Load this page again to see the answer.",
        )

    @route("/{id}/events/{event}/resend", methods=["GET", "POST"], name="webhook-resend")
    async def resend(self, request: Request) -> Response:
        return await self._ask_and_do(
            request,
            partial(webhooks.resend, event_id=id_of(request, "event")),
            title="Send the event again?",
            words="Under the id that it had before, by which receivers know what they have.",
            label="Send it again",
            is_harmless=True,
            done="The event is on its way again. Load this page again to see the answer.",
        )

    @route("/{id}/resend-dead", methods=["GET", "POST"], name="webhook-resend-dead")
    async def resend_dead(self, request: Request) -> Response:
        """Ask and send all again that are dead, of what happened since a moment in the query."""
        webhook = await self._webhook(request, to_change=True)
        back = f"{self._at(request, webhook)}?state={DeliveryState.DEAD}"
        since = _moment(request.query_params.get("since"))
        if since is None:
            flash(request, "Say since when: a date and a time, in UTC.", "error")
            return RedirectResponse(back, 303)
        if request.method == "GET":
            return await self.page(
                request,
                "confirm.html",
                title="Send all again that are dead?",
                subject=webhook.url,
                words=f"Of what happened since {since:%Y-%m-%d, %H:%M} UTC. Each has the id that "
                "it had before.",
                label="Send them again",
                is_harmless=True,
                back=back,
            )
        count = await webhooks.resend_dead(
            resources_of(request), caller_of(request), webhook.id, since=since
        )
        events = "1 event is" if count == 1 else f"{count:,} events are"
        flash(request, f"{events} on the way again.", "success")
        return RedirectResponse(self._at(request, webhook), 303)
