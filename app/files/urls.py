"""Parse an object's URL, as other systems keep it, to bucket and key. Nothing is fetched."""

import re
from typing import Final
from urllib.parse import urlsplit

from app.core.object_url import ObjectName, parse_object_url
from app.errors import UrlNotOurs
from app.models.files import File, Readable
from app.settings.model import Settings

_AWS_HOST: Final = re.compile(r"s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?")


def parse_url(settings: Settings, url: str) -> ObjectName:
    """The object that a URL names. Raises UrlNotOurs unless its bucket is one of ours."""
    destinations = settings.destinations.values()
    name = parse_object_url(
        url, {d.bucket for d in destinations}, {d.stored_endpoint for d in destinations}
    )
    if name is None:
        raise UrlNotOurs("The URL names no object in a bucket that this service looks after.")
    return name


def check_host(settings: Settings, name: ObjectName, file: File | Readable | None) -> None:
    """Raise UrlNotOurs if the URL's host is neither a configured endpoint nor the file's own.

    The file's own counts, so that URLs stored before the endpoint was changed go on working.
    """
    endpoints = {urlsplit(d.stored_endpoint).netloc for d in settings.destinations.values()}
    aws = any(_AWS_HOST.fullmatch(host) for host in endpoints)
    if name.host in endpoints or (aws and _AWS_HOST.fullmatch(name.host)):
        return
    if file is None or urlsplit(file.url).netloc != name.host:
        raise UrlNotOurs("The URL's host is not that of a bucket that this service looks after.")
