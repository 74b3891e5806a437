"""Links that read confirmed files: presigned ones, and paths with a grant."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import count, repeat
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from app.core.delivery import (
    Disposition,
    before_name,
    content_disposition,
    from_name_on,
    presentation,
    served_type,
)
from app.core.destination import Destination
from app.core.grants import grant_maker, is_granted, window_end
from app.core.key_normalizer import InvalidName, clean_filename
from app.core.query_parameters import query_parameter
from app.core.recent import Recent
from app.core.scans import Scan, is_served, standing
from app.core.sigv4 import UrlSigner
from app.errors import FileNotFound, FileQuarantined, InvalidFilename, InvalidGrant, ScanPending
from app.logs.audit import IDS_A_LINE, audit_files
from app.logs.log import current_actor
from app.models.files import File, Readable
from app.runtime.resources import Resources
from app.turns import Turn

# When to ask again for a file that is being scanned.
_SCAN_SECONDS: Final = 5
# Links that are signed without a look at the clock.
_AT_ONCE: Final = 8
# Stores name the origins that may read only to those who say theirs. `<img src>` does not, and
# browsers keep its answer and give it to a script that reads the same URL, which must not read it
# then. So scripts have URLs of their own. AWS's SDKs send this parameter with each GET.
_FOR_SCRIPTS: Final = query_parameter("x-id", "GetObject")


class Link(NamedTuple):
    """A presigned URL and when it ends (UTC)."""

    url: str
    expires_at: datetime


NotServed = ScanPending | FileQuarantined


def _objection(file: File | Readable, to: Destination) -> NotServed | None:
    """Why the file must not be read, by its scanner's verdict."""
    if is_served(file.scan, to):
        return None
    if standing(file.scan, to) == Scan.PENDING:
        return ScanPending(
            "The file has still to be scanned for malware; ask again in a moment.",
            retry_after=_SCAN_SECONDS,
        )
    found = "something" if file.scan == Scan.INFECTED else "no way to scan it"
    return FileQuarantined(
        f"The scanner found {found}, so the file is not served: upload another, or have whoever "
        "runs the service release it."
    )


def scan_of(res: Resources, file: File) -> str | None:
    """The scanner's verdict that counts for the file; None where none is needed."""
    return file.scan or standing(
        file.scan, res.settings.destination_of(file.destination, file.bucket)
    )


async def read_link(res: Resources, file: File | Readable, **asked: Any) -> Link:
    """The link to one file, asked for as of `read_links`. Raises ScanPending, FileQuarantined."""
    [link] = await read_links(res, [file], **asked)
    if not isinstance(link, Link):
        raise link
    return link


async def read_links(
    res: Resources,
    files: Sequence[File | Readable],
    *,
    disposition: Disposition | None = None,
    filename: str | None = None,
    redirecting: bool = False,
    for_scripts: bool = False,
    method: Literal["GET", "HEAD"] = "GET",
) -> list[Link | NotServed]:
    """A presigned link for each file, in order, each pinned to the version that was confirmed; or
    the problem that tells why its scanner's verdict lets none be made.

    Nothing else signs what reads a file, so that there is no way around the verdict.

    With `disposition` None, files that are safe to show are shown, unless their destination stores
    them to be downloaded; files that a browser might run are downloaded in either case. `filename`
    is the name to save under, the file's own if None. `redirecting`: the audit trail says that the
    caller is redirected. `for_scripts`: links that no page shows files by, so that scripts can read
    them whatever the browser keeps. A link is for its `method` alone. Raises InvalidFilename.
    """
    if filename is not None:
        try:
            filename = clean_filename(filename).display
        except InvalidName as error:
            raise InvalidFilename(str(error)) from None
    links: list[Link | NotServed] = []
    # Most pages are of one destination, so that its signer is made once.
    where: tuple[str, str] | None = None
    withheld, turn = False, Turn()
    for number, file in enumerate(files, start=1):
        if where is None or file.destination != where[0] or file.bucket != where[1]:
            where = file.destination, file.bucket
            to = res.settings.destination_of(*where)
            signer, expires_at = await res.signer.link_signer(
                to.address, expires_in=to.link_expires_in, window=to.window, method=method
            )
            # A name that somebody asks for is not asked for again, and may be as long as they like.
            is_steady = to.window and filename is None
            presented, is_scanned = disposition or to.disposition, to.scan != "off"
            if is_steady:
                made_as = f" {_series_of(signer)} {presented} {for_scripts} "
        if is_scanned or file.scan is not None:
            objection = _objection(file, to)
            if objection is not None:
                links.append(objection)
                withheld = True
                continue
        url = None
        if is_steady:
            made_of = str(file.id) + made_as + file.filename
            url = _known_links.get(made_of)
        if url is None:
            url = _url(signer, file, filename or file.filename, presented, for_scripts)
            if is_steady:
                _known_links.note(made_of, url)
        links.append(Link(url, expires_at))
        if number % _AT_ONCE == 0:
            await turn.over()
    said = {"redirect": disposition or "plain"} if redirecting else {}
    linked = files
    if withheld:
        linked = [file for file, link in zip(files, links, strict=True) if isinstance(link, Link)]
    for start in range(0, len(linked), IDS_A_LINE):
        audit_files("file.linked", linked[start : start + IDS_A_LINE], **said)
        await turn.over()
    return links


def _url(
    signer: UrlSigner,
    file: File | Readable,
    filename: str,
    disposition: Disposition,
    for_scripts: bool,
) -> str:
    content_type = file.content_type
    shown = presentation(
        disposition,
        served_type(content_type, file.charset),
        file.announced_type or content_type,
        file.detected_type,
    )
    # What to answer with (AWS, API/API_GetObject), in the order of the names. All say the name to
    # save under (OWASP ASVS 5.4.1), also where the file is shown.
    query = query_parameter(
        "response-content-disposition", from_name_on(filename), before_name(shown.disposition)
    )
    if shown.content_type is not None:
        query += query_parameter("response-content-type", shown.content_type)
    if file.version_id is not None:
        query += query_parameter("versionId", file.version_id)
    if for_scripts:
        query += _FOR_SCRIPTS
    return signer.url_with(file.key, query)


# Files that are listed again within a window are signed once; a link takes about 1 KiB. Of what a
# link is made of, nothing but the name changes while a file has its id.
# Without it a list of 100 that is asked for again takes a third longer.
_known_links: Final = Recent(8192)
_numbers: Final = count()


@lru_cache(maxsize=64)
def _series_of(_made_by: object) -> int:
    """A number for all that one signer, or maker of grants, makes; no other ever had it."""
    return next(_numbers)


async def pdf_link(res: Resources, file: File) -> Link:
    """A link that shows a PDF, for a frame of a page of ours.

    Other links have it downloaded. Whatever the object is, the store says that it is a PDF, so that
    no browser takes it for a page; and the frame has the store's origin, not ours. Raises
    ScanPending, FileQuarantined.
    """
    # There is none where there is no other link.
    await read_link(res, file)
    to = res.settings.destination_of(file.destination, file.bucket)
    signer, expires_at = await res.signer.link_signer(
        to.address, expires_in=to.link_expires_in, window=to.window, method="GET"
    )
    query = {
        "response-content-disposition": content_disposition("inline", file.filename),
        "response-content-type": "application/pdf",
    }
    if file.version_id is not None:
        query["versionId"] = file.version_id
    return Link(signer.url(file.key, query), expires_at)


def content_urls(res: Resources, files: Sequence[File]) -> Iterator[str | None]:
    """For each file, in order, a path that reads it without a bearer for as long as its link.

    Each is made when it is asked for. Steady within the destination's window, like the link. None
    where there are none, or where the file's scanner lets nobody read it.
    """
    if res.grant_secret is None:
        yield from repeat(None, len(files))
        return
    now = res.clock().timestamp()
    where: tuple[str, str] | None = None
    for file in files:
        if where is None or file.destination != where[0] or file.bucket != where[1]:
            where = file.destination, file.bucket
            to = res.settings.destination_of(*where)
            grant = _grant_maker(res.grant_secret, window_end(now, to.link_expires_in, to.window))
            made_by = f" {_series_of(grant)}"
        # As most files are, which have no need of a look at their verdict.
        is_unscanned = file.scan is None and to.scan == "off"
        if to.content_urls and (is_unscanned or is_served(file.scan, to)):
            file_id = str(file.id)
            url = _known_content_urls.get(file_id + made_by)
            if url is None:
                url = f"/v1/files/{file_id}/content?grant={grant(file.id.bytes)}"
                _known_content_urls.note(file_id + made_by, url)
            yield url
        else:
            yield None


# As of links; a URL takes a third of a KiB.
_known_content_urls: Final = Recent(8192)
# One for each window, as the signer is.
_grant_maker: Final = lru_cache(maxsize=64)(grant_maker)


async def get_granted(res: Resources, file_id: UUID, grant: str) -> Readable:
    """The confirmed file that a grant of `content_urls` is for.

    Raises InvalidGrant, FileNotFound.
    """
    ended = InvalidGrant("This link has ended, or is not ours; ask for a fresh content_url.")
    now = res.clock().timestamp()
    if res.grant_secret is None or not is_granted(res.grant_secret, file_id, grant, now):
        raise ended
    file = await res.lookups.readable(file_id, None)
    if file is None:
        raise FileNotFound("There is no such file any more.")
    if not res.settings.destination_of(file.destination, file.bucket).content_urls:
        raise ended
    actor = current_actor.get()
    if actor is not None:
        actor.name = "grant"
    return file
