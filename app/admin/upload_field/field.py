"""The field: what forms and pages show of it, and how a posted form is turned into its value.

A form sends the ids of new uploads, and sealed values for the files that the field had before. Ids
are looked up at the service; a URL from a form is never trusted.
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

# The purpose for which links to files are sealed.
LINK = "shown"
_IMAGE = re.compile(r"\.(avif|bmp|gif|jpe?g|png|webp)$", re.IGNORECASE)
# Claimcheck's keys begin with the time.
_TIMESTAMP = re.compile(r"^\d\d-\d\d-\d{4}_[\d-]+?--")


class ShownFile(NamedTuple):
    """A file for templates; `value` is what the form sends back for it."""

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
        stores: The attribute's value for a file: its `url`, or its `id` in the service. With
            `multiple` the attribute is a list of them. An empty field is None, or [].
        max_files: The largest length of that list.
        accept: The types that can be chosen, as in HTML: `image/*`, `.pdf,.docx`. This and
            `max_size` (in bytes) spare people a wait; the destination's rules are enforced.
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
        """The number of uploads of a session: those of one form, and some that are tried again."""
        return 2 * self.max_files if self.multiple else 5

    def additional_css_links(self, request: Request) -> list[str]:
        return [static_url(request, "plugins/claimcheck/upload-field.css")]

    def _purpose(self, request: Request) -> str:
        """The purpose for which this field's values are sealed.

        No other field accepts them, also if it has the same name, and no link does.
        """
        return "\0".join(("held", request.path_params.get("key", ""), self.name, self.destination))

    # From the attribute to pages

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """A list of ShownFile for pages; the value itself for exports and the API."""
        values = list(value) if self.multiple else [value]
        if request.state.action.is_form():
            return await self._from_service(request, values)
        if request.state.action in (RequestAction.LIST, RequestAction.DETAIL):
            return [self._from_value(request, one) for one in values if one]
        return value

    def form_files(self, request: Request, data: Any) -> Sequence[ShownFile]:
        """The files of the form: the posted ones, where it is shown again because of an error."""
        posted = _posted_fields(request).get(self.id)
        return posted.shown if posted else data or []

    def _from_value(self, request: Request, value: str) -> ShownFile:
        """A file from the attribute's value alone, so that lists need no request to the service."""
        link = {"of": seal(_service(request).secret, LINK, value)}
        root = request.app.state.ROUTE_NAME
        href = f"{request.url_for(f'{root}:plugin:claimcheck:file')}?{urlencode(link)}"
        name = "File" if is_id(value) else _TIMESTAMP.sub("", unquote(value.rpartition("/")[2]))
        is_image = bool(_IMAGE.search(name)) or self.accept.startswith("image/")
        return ShownFile(value, name, href=href, is_image=is_image)

    async def _from_service(self, request: Request, values: Sequence[str]) -> list[ShownFile]:
        """The files as the service describes them, as far as it answers and knows them."""
        values = [value for value in values if value]
        service = _service(request)
        try:
            found = await service.find(request, values) if values else []
        except ServiceFailed:
            found = [None] * len(values)
        shown = []
        for value, file in zip(values, found, strict=True):
            sealed = seal(service.secret, self._purpose(request), value)
            # A file that the service does not know stays in the field until somebody removes it.
            unknown = self._from_value(request, value)._replace(value=sealed, href="")
            shown.append(_shown(sealed, file) if file else unknown)
        return shown

    # From a posted form to the attribute

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """The attribute's new value, with `multiple` a list; `validate` raises what is wrong."""
        given = [str(value) for value in form_data.getlist(self.id)]
        posted = _posted_fields(request)[self.id] = _PostedField()
        if not given:
            posted.error = "The form was sent without this field. Reload the page and try again."
        kept = await self._resolve(request, [value for value in given if value], posted)
        if self.multiple:
            return kept
        if len(kept) > 1:
            posted.error = "Only one file can go here."
        return kept[0] if kept else None

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        posted = _posted_fields(request).get(self.id)
        if posted and posted.error:
            raise ValueError(posted.error)
        await super().validate(request, value, form_values)

    async def _resolve(
        self, request: Request, given: Sequence[str], posted: "_PostedField"
    ) -> list[str]:
        if len(given) > self.max_files:
            posted.error = f"At most {self.max_files} files can go here."
            return []
        service = _service(request)
        held = {value: unseal(service.secret, self._purpose(request), value) for value in given}
        ids = [value for value in given if is_id(value)]
        try:
            found = dict(zip(ids, await service.find(request, ids) if ids else [], strict=True))
        except ServiceFailed as failure:
            posted.error = str(failure)
            posted.shown = [ShownFile(value, "File") for value in given]
            return []
        kept = []
        for value in given:
            old, file = held[value], found.get(value)
            if old is not None:
                kept.append(old)
                posted.shown.append(self._from_value(request, old)._replace(value=value))
            elif file is not None and file["destination"] == self.destination:
                kept.append(file[self.stores])
                posted.shown.append(_shown(value, file))
            else:
                posted.error = (
                    "The upload service has no such file for this field. Choose the file again."
                )
        return kept


@dataclass
class _PostedField:
    """The outcome of parsing this field of a posted form."""

    shown: list[ShownFile] = field(default_factory=list)
    error: str | None = None


def _posted_fields(request: Request) -> dict[str, _PostedField]:
    """The outcomes of this request, by the field's id in the form."""
    state = request.state
    if not hasattr(state, "claimcheck_posted"):
        state.claimcheck_posted = {}
    return state.claimcheck_posted  # type: ignore[no-any-return]


def _service(request: Request) -> UploadService:
    return request.app.state.claimcheck.service  # type: ignore[no-any-return]


def _shown(value: str, file: UploadedFile) -> ShownFile:
    kind = file["content_type"]
    href = file["presigned_url"] or ""
    is_image = bool(href) and kind.startswith("image/") and kind != "image/svg+xml"
    return ShownFile(value, file["filename"], kind, file["size"], href, is_image)
