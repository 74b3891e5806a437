"""The field: what the form shows, and what becomes of what it gives back.

A form names uploads by their ids, and what the field held before by values that were sealed for
it. Ids are resolved with the service; no URL from a form is ever believed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin.fields import BaseField
from starlette_admin.helpers import static_url
from starlette_admin.types import RequestAction

from .seal import seal, unseal
from .service import ServiceFailed, UploadedFile, UploadService, is_id

# What links to files are sealed for.
SHOWN = "shown"
_IMAGE = re.compile(r"\.(avif|bmp|gif|jpe?g|png|webp)$", re.IGNORECASE)
# Claimcheck's keys begin with the time.
_TIMESTAMP = re.compile(r"^\d\d-\d\d-\d{4}_[\d-]+?--")


class Shown(NamedTuple):
    """A file as templates have it: `value` is what the form gives back for it."""

    value: str
    filename: str
    content_type: str = ""
    size: int | None = None
    href: str = ""
    is_image: bool = False


@dataclass
class S3UploadField(BaseField):
    """A file, or with `multiple` an ordered list of files, that the browser puts into the bucket.

    Parameters:
        destination: The service's name for where the files go.
        stores: What the attribute keeps of a file: its `url`, or its `id` in the service. With
            `multiple` the attribute is a list of them. An empty field is None, or [].
        max_files: How long that list may be.
        accept: What may be chosen, as in HTML: `image/*`, `.pdf,.docx`. This and `max_size` (in
            bytes) spare people a wait; the rules that hold are the destination's.
    """

    destination: str = ""
    multiple: bool = False
    stores: Literal["url", "id"] = "url"
    max_files: int = 20
    accept: str = ""
    max_size: int | None = None
    exclude_from_import: bool | None = True
    list_template: str = "plugins/claimcheck/shown.html"
    detail_template: str = "plugins/claimcheck/shown.html"
    form_template: str = "plugins/claimcheck/form.html"
    null_template: str = "plugins/claimcheck/none.html"
    empty_template: str = "plugins/claimcheck/none.html"

    @property
    def session_files(self) -> int:
        """How many uploads a session is for: one choice, and what is tried anew."""
        return 2 * self.max_files if self.multiple else 5

    def additional_css_links(self, request: Request) -> list[str]:
        return [static_url(request, "plugins/claimcheck/upload-field.css")]

    def _held(self, request: Request) -> str:
        """What values are sealed for that this field holds: no other field takes them, though it
        has the same name, nor does a link.
        """
        return "\0".join(("held", request.path_params.get("key", ""), self.name, self.destination))

    # What pages show

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """A list of Shown for pages; the value as it is for exports and other machines."""
        values = list(value) if self.multiple else [value]
        if request.state.action.is_form():
            return await self._described(request, values)
        if request.state.action in (RequestAction.LIST, RequestAction.DETAIL):
            return [self._glimpse(request, one) for one in values if one]
        return value

    def shown(self, request: Request, data: Any) -> Sequence[Shown]:
        """What the form holds: what was posted, if it is shown again for a mistake in it."""
        posted = _posted(request).get(self.id)
        return posted.shown if posted else data or []

    def _glimpse(self, request: Request, value: str) -> Shown:
        """By the value alone: a list of a hundred rows asks the service nothing."""
        link = {"of": seal(_service(request).secret, SHOWN, value)}
        root = request.app.state.ROUTE_NAME
        href = f"{request.url_for(f'{root}:plugin:claimcheck:file')}?{urlencode(link)}"
        name = "File" if is_id(value) else _TIMESTAMP.sub("", unquote(value.rpartition("/")[2]))
        is_image = bool(_IMAGE.search(name)) or self.accept.startswith("image/")
        return Shown(value, name, href=href, is_image=is_image)

    async def _described(self, request: Request, values: Sequence[str]) -> list[Shown]:
        """By what the service knows of it, where it answers and knows it."""
        values = [value for value in values if value]
        service = _service(request)
        try:
            found = await service.find(request, values) if values else []
        except ServiceFailed:
            found = [None] * len(values)
        shown = []
        for value, file in zip(values, found, strict=True):
            sealed = seal(service.secret, self._held(request), value)
            # What the service does not know is kept all the same, until somebody takes it out.
            unknown = self._glimpse(request, value)._replace(value=sealed, href="")
            shown.append(_shown(sealed, file) if file else unknown)
        return shown

    # What comes back

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """What is to be kept: a value, or with `multiple` a list. `validate` says what is wrong."""
        given = [str(value) for value in form_data.getlist(self.id)]
        posted = _posted(request)[self.id] = _Posted()
        if not given:
            posted.error = "The form was sent without this field. Reload the page and try again."
        kept = await self._resolved(request, [value for value in given if value], posted)
        if self.multiple:
            return kept
        if len(kept) > 1:
            posted.error = "Only one file can go here."
        return kept[0] if kept else None

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        posted = _posted(request).get(self.id)
        if posted and posted.error:
            raise ValueError(posted.error)
        await super().validate(request, value, form_values)

    async def _resolved(
        self, request: Request, given: Sequence[str], posted: "_Posted"
    ) -> list[str]:
        if len(given) > self.max_files:
            posted.error = f"At most {self.max_files} files can go here."
            return []
        service = _service(request)
        held = {value: unseal(service.secret, self._held(request), value) for value in given}
        ids = [value for value in given if is_id(value)]
        try:
            found = dict(zip(ids, await service.find(request, ids) if ids else [], strict=True))
        except ServiceFailed as failure:
            posted.error = str(failure)
            posted.shown = [Shown(value, "File") for value in given]
            return []
        kept = []
        for value in given:
            old, file = held[value], found.get(value)
            if old is not None:
                kept.append(old)
                posted.shown.append(self._glimpse(request, old)._replace(value=value))
            elif file is not None and file["destination"] == self.destination:
                kept.append(file[self.stores])
                posted.shown.append(_shown(value, file))
            else:
                posted.error = (
                    "The upload service has no such file for this field. Choose the file again."
                )
        return kept


@dataclass
class _Posted:
    """What became of the field of a form that was posted."""

    shown: list[Shown] = field(default_factory=list)
    error: str | None = None


def _posted(request: Request) -> dict[str, _Posted]:
    """By the field's id in the form."""
    state = request.state
    if not hasattr(state, "claimcheck_posted"):
        state.claimcheck_posted = {}
    return state.claimcheck_posted  # type: ignore[no-any-return]


def _service(request: Request) -> UploadService:
    return request.app.state.claimcheck.service  # type: ignore[no-any-return]


def _shown(value: str, file: UploadedFile) -> Shown:
    kind = file["content_type"]
    is_image = kind.startswith("image/") and kind != "image/svg+xml"
    return Shown(value, file["filename"], kind, file["size"], file["presigned_url"], is_image)
