"""The page of what is used: shares, limits of one's own, and what became of each day's uploads."""

from functools import partial
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import PAGE, View, caller_of, may
from app.core.principal import Scope, is_name
from app.core.words import in_bytes
from app.errors import Problem
from app.http.permissions import require
from app.models.usage import Level
from app.usage import quotas
from app.usage.daily import Day, read_days

_LIMITS: Final = ("bytes", "files", "pending")
_MOST: Final = 2**53
# The plot: the height of the tallest bar, and the width of a day, in its own units.
_HEIGHT: Final = 60
_STEP: Final = 10


class Bar(NamedTuple):
    """A day in the plot: files stand on the line, refusals hang from it."""

    x: int
    files: float
    refused: float
    words: str


class Plot(NamedTuple):
    """A destination's days."""

    destination: str
    days: list[Day]
    bars: list[Bar]
    most: int  # of a day: files, or refusals
    files: int
    bytes: int
    refused: list[tuple[str, int]]


def _plot(destination: str, days: list[Day]) -> Plot:
    refused: dict[str, int] = {}
    for day in days:
        for problem, count in day.refused.items():
            refused[problem] = refused.get(problem, 0) + count
    most = max(1, *(max(day.files, day.times_refused) for day in days))
    bars = [
        Bar(
            n * _STEP,
            round(_HEIGHT * day.files / most, 1),
            round(_HEIGHT * day.times_refused / most, 1),
            _words(day),
        )
        for n, day in enumerate(days)
    ]
    files, size = sum(day.files for day in days), sum(day.bytes for day in days)
    by_times = sorted(refused.items(), key=lambda one: -one[1])
    return Plot(destination, days, bars, most, files, size, by_times)


def _words(day: Day) -> str:
    refused = ", ".join(f"{count:,} {problem}" for problem, count in day.refused.items())
    files = "file" if day.files == 1 else "files"
    said = f"{day.day}: {day.files:,} {files}, {in_bytes(day.bytes)}"
    return f"{said}; refused: {refused}" if refused else said


class Usage(View):
    """Uses, for those who act for the tenant; limits, for those who manage them."""

    menu_label = "Usage"
    icon = "fa-solid fa-chart-column"
    path = "/usage"

    def is_accessible(self, request: Request) -> bool:
        return may(request, Scope.FILES_READ, Scope.FILES_ALL) or may(request, Scope.QUOTAS_MANAGE)

    @route("", methods=["GET", "POST"], name="usage")
    async def index(self, request: Request) -> Response:
        """The page; a POST sets limits of an owner or of the tenant."""
        if request.method == "GET":
            return await self._show(request, request.query_params.get("owner", "").strip())
        res, caller = resources_of(request), caller_of(request)
        require(caller, Scope.QUOTAS_MANAGE)
        form = await request.form()
        asked = {name: str(form.get(name) or "").strip() for name in ("owner", *_LIMITS)}
        try:
            limits = {name: _limit(asked[name]) for name in _LIMITS}
            if all(limit is None for limit in limits.values()):
                raise ValueError("Fill in a limit; “Take away” in the list ends those there are.")
            owner = asked["owner"] or None
            if owner is not None and not is_name(owner):
                raise ValueError("The owner must be printable, with at most 255 characters.")
            await quotas.set_quota(res, caller, owner, **limits)
        except (Problem, ValueError) as wrong:
            said = wrong.detail if isinstance(wrong, Problem) else str(wrong)
            return await self._show(request, asked["owner"], 422, wrong=said, asked=asked)
        flash(request, "The limits are set.", "success")
        return RedirectResponse(self.to(request), 303)

    async def _show(
        self, request: Request, owner: str, status: int = 200, **context: Any
    ) -> Response:
        res, caller = resources_of(request), caller_of(request)
        shares: list[quotas.Share] = []
        if is_name(owner):
            shares = await quotas.read_shares(res, caller, owner)
        elif res.settings.quota:
            shares = [
                share
                for share in await quotas.read_shares(res, caller)
                if share.level is Level.TENANT
            ]
        own = await quotas.list_quotas(res, caller, after=None, limit=PAGE)
        days = await read_days(res, caller)
        return await self.page(
            request,
            "usage.html",
            status,
            owner=owner,
            shares=shares,
            is_limited=bool(res.settings.quota),
            quotas=own,
            most=PAGE,
            plots=[_plot(destination, of_it) for destination, of_it in days.items()],
            height=_HEIGHT,
            **context,
        )

    @route("/clear", methods=["GET", "POST"], name="quota-clear")
    async def clear(self, request: Request) -> Response:
        require(caller_of(request), Scope.QUOTAS_MANAGE)
        owner = request.query_params.get("owner", "").replace("\0", "") or None
        return await self.confirm_and_act(
            request,
            partial(quotas.clear_quota, resources_of(request), caller_of(request), owner),
            subject=owner or "the tenant",
            title="Take these limits away?",
            words="Those of the settings hold then. What is there already stays.",
            label="Take them away",
            done="The limits of the settings hold.",
            back=self.to(request),
            then=self.to(request),
        )


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or int(text) > _MOST:
        raise ValueError(f"A limit is a whole number up to {_MOST:,}, or empty.")
    return int(text)
