"""`claimcheck adopt`: objects that are in a bucket become files, one JSON line an object."""

import argparse
import asyncio
import csv
import json
import sys
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from app.commands.parser import Subparsers, add_command
from app.commands.progress import progress_line
from app.commands.with_resources import with_resources
from app.core.destination import Destination
from app.core.principal import MAX_NAME, is_name
from app.core.record_field import FieldPath, is_record_id
from app.errors import ConfigurationError, UrlNotOurs
from app.files.urls import check_host, parse_url
from app.runtime.resources import Resources, in_utc
from app.settings.model import Settings, require_stores
from app.store.listing import list_objects
from app.upkeep.adopt import Candidate, How, Outcome, Pace, adopt

LEFT_STATUS: Final = 2
_PAGE: Final = 1000
_PAGES_AT_ONCE: Final = 2
_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
_COLUMNS: Final = ("url", "owner", "tenant", "filename", "created_at", "attach_to")


def add(commands: Subparsers) -> None:
    purpose = "make files of objects that are in a bucket already, without copying them"
    status = f"Exit status {LEFT_STATUS} if any was not adopted that had no row."
    parser = add_command(commands, "adopt", _adopt, purpose, status=status)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prefix", help="adopt every object whose key begins so ('' is every key)")
    source.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help=f"adopt those of a .csv with a header or an .ndjson; columns: {', '.join(_COLUMNS)}",
    )
    parser.add_argument("--owner", help="whose the files are, where the list does not say it")
    parser.add_argument("--tenant", default="", help="of which tenant, where the list says none")
    parser.add_argument(
        "--destination", help="the destination; by default the one whose prefix fits best"
    )
    parser.add_argument(
        "--look", action="store_true", help="compare the first bytes, as confirm does"
    )
    parser.add_argument(
        "--anyway", action="store_true", help="adopt also what the destination would not take"
    )
    parser.add_argument("--apply", action="store_true", help="store them; else only look")
    parser.add_argument(
        "--concurrency", type=int, default=32, help="requests to the bucket at once (default: 32)"
    )
    parser.add_argument("--rate", type=float, metavar="N", help="at most N requests a second")


def _adopt(options: argparse.Namespace) -> None:
    if options.concurrency < 1 or (options.rate is not None and options.rate <= 0):
        raise ConfigurationError("--concurrency and --rate are numbers above 0.")
    if options.list is None and options.owner is None:
        raise ConfigurationError("Say with --owner whose the files are.")
    for name in (options.owner, options.tenant):
        if name and not is_name(name):
            raise ConfigurationError(f"{name!r} has not 1 to {MAX_NAME} printable characters.")
    if status := with_resources(require_stores, lambda res: _run(res, options)):
        sys.exit(status)


async def _run(res: Resources, options: argparse.Namespace) -> int:
    how = How(
        apply=options.apply,
        look=options.look,
        anyway=options.anyway,
        gate=asyncio.Semaphore(options.concurrency),
        pace=Pace(options.rate),
    )
    counts = Counter[str]()
    found = _of_list(res, options) if options.list else _of_prefix(res, options)
    with progress_line("looked at: 0") as show:
        async with aclosing(_adopted(res, found, how)) as pages:
            async for page in pages:
                for line in page:
                    sys.stdout.write(_json(line) + "\n")
                    counts[line["outcome"]] += 1
                sys.stdout.flush()
                show(f"looked at: {counts.total():,}", True)
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    end = "" if options.apply else "; nothing was stored: that takes --apply"
    sys.stderr.write(f"{said or 'no object'}{end}\n")
    return LEFT_STATUS if counts.total() - counts[Outcome.ADOPTED] - counts[Outcome.KNOWN] else 0


class _Item(NamedTuple):
    """An object that was named: what the report says of it first, and the candidate, or why there
    is none.
    """

    said: dict[str, Any]
    candidate: Candidate | str


async def _adopted(
    res: Resources, items: AsyncGenerator[_Item, None], how: How
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Pages in order, of the lines to say; the next one is listed and looked at while one is
    stored.
    """
    under_way: deque[asyncio.Task[list[dict[str, Any]]]] = deque()
    try:
        async with aclosing(_pages(items)) as pages:
            async for page in pages:
                under_way.append(asyncio.create_task(_adopt_page(res, page, how)))
                if len(under_way) == _PAGES_AT_ONCE:
                    yield await under_way.popleft()
        for task in under_way:
            yield await task
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _adopt_page(res: Resources, page: list[_Item], how: How) -> list[dict[str, Any]]:
    candidates = [item.candidate for item in page if isinstance(item.candidate, Candidate)]
    adoptions = iter(await adopt(res, candidates, how))
    return [
        item.said
        | (
            {"outcome": Outcome.REFUSED, "reason": item.candidate}
            if isinstance(item.candidate, str)
            else next(adoptions)._asdict()
        )
        for item in page
    ]


async def _pages(items: AsyncGenerator[_Item, None]) -> AsyncGenerator[list[_Item], None]:
    page: list[_Item] = []
    async with aclosing(items):
        async for item in items:
            page.append(item)
            if len(page) == _PAGE:
                yield page
                page = []
    if page:
        yield page


async def _of_prefix(res: Resources, options: argparse.Namespace) -> AsyncGenerator[_Item, None]:
    """The objects of the bucket, in the store's order."""
    first = _destination_of(res.settings, options.destination, None, options.prefix)
    # Longer prefixes may have destinations of their own.
    async with aclosing(list_objects(res.buckets, first, options.prefix)) as objects:
        async for listed in objects:
            # The "folders" of consoles are no files.
            if listed.key.endswith("/") and not any(listed.sizes.values()):
                continue
            to = _destination_of(res.settings, options.destination, first.bucket, listed.key)
            yield _Item({}, Candidate(to, listed.key, options.owner, options.tenant))


def _destination_of(
    settings: Settings, name: str | None, bucket: str | None, key: str
) -> Destination:
    """The destination of this name, or else that whose prefix is the longest of those that the key
    begins with. Raises ConfigurationError.
    """
    fits = [
        one
        for one in settings.destinations.values()
        if name in {None, one.name} and bucket in {None, one.bucket} and key.startswith(one.prefix)
    ]
    if not fits:
        there = ", ".join(
            f"{d.name} ({d.prefix or 'any key'})" for d in settings.destinations.values()
        )
        raise ConfigurationError(
            f"No destination{f' {name}' if name else ''} has keys that begin as {key!r} does. "
            f"There are: {there}. One for old keys can be added to the settings, with `key_prefix`."
        )
    if bucket is None and len({(one.store, one.bucket) for one in fits}) > 1:
        raise ConfigurationError(
            f"Several buckets may have keys that begin with {key!r}: name one of their "
            f"destinations with --destination ({', '.join(one.name for one in fits)})."
        )
    return max(fits, key=lambda one: len(one.prefix))


async def _of_list(res: Resources, options: argparse.Namespace) -> AsyncGenerator[_Item, None]:
    """The objects of a list, in its order."""
    for number, row in _rows(options.list):
        said = {"line": number, "url": row.get("url") if isinstance(row, dict) else None}
        try:
            candidate: Candidate | str = _candidate(res.settings, options, row)
        except (ValueError, ConfigurationError, UrlNotOurs) as error:
            candidate = str(error)
        yield _Item(said, candidate)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Each entry with the number of its last line. Raises ConfigurationError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _entries(file, path.suffix)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} is no list in UTF-8 to be read: {error}") from error


def _entries(file: TextIO, suffix: str) -> Iterator[tuple[int, Any]]:
    if suffix == ".csv":
        reader = csv.DictReader(file)
        if "url" not in (reader.fieldnames or ()):
            raise ConfigurationError("The first line of the list names no column `url`.")
        for row in reader:
            yield reader.line_num, row
        return
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, line


def _candidate(settings: Settings, options: argparse.Namespace, row: Any) -> Candidate:
    """Raises ValueError, ConfigurationError or UrlNotOurs, whose message says what is wrong."""
    if not isinstance(row, dict) or not all(
        value is None or isinstance(value, str) for value in row.values()
    ):
        raise ValueError("It is no JSON object of strings.")
    unknown = sorted(str(name) for name in row if name not in _COLUMNS)
    if unknown:
        raise ValueError(f"There is no column {unknown[0]}; there are: {', '.join(_COLUMNS)}.")
    owner, tenant = row.get("owner") or options.owner, row.get("tenant") or options.tenant
    if not is_name(owner):
        raise ValueError(f"It has no owner of 1 to {MAX_NAME} characters: say --owner, or `owner`.")
    if tenant and not is_name(tenant):
        raise ValueError(f"Its tenant has not 1 to {MAX_NAME} printable characters.")
    name = parse_url(settings, row.get("url") or "")
    check_host(settings, name, None)
    created_at = _moment(row["created_at"]) if row.get("created_at") else None
    return Candidate(
        _destination_of(settings, options.destination, name.bucket, name.key),
        name.key,
        owner,
        tenant,
        row.get("filename") or None,
        created_at,
        _field(row["attach_to"]) if row.get("attach_to") else None,
    )


def _moment(text: str) -> datetime:
    try:
        moment = in_utc(datetime.fromisoformat(text))
    except OverflowError as error:
        raise ValueError(f"`created_at`: {error}.") from error
    if moment < datetime.fromtimestamp(0, UTC):
        raise ValueError("`created_at` is before 1970, which ids cannot tell.")
    return moment


def _field(text: str) -> FieldPath:
    parts = text.split("/")
    if len(parts) != 3 or not is_record_id(parts[1]):
        raise ValueError("`attach_to` is no <type>/<id>/<field>.")
    return FieldPath(*parts)
