"""Lists, links by the thousand, redirects, on tables of different sizes."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from app.core.cursor import encode_cursor
from app.core.narrowing import Narrowing, list_name
from app.core.principal import DEV
from app.runtime.resources import open_resources
from bench import rows
from bench.load import Case, ask
from bench.results import ANEW
from bench.sections.uploads import announcing, without_problem
from bench.servers import BenchError, Server
from bench.stack import Stack

PAGE: Final = 100
FAR_PAGE: Final = 5000
# Of a hundred links each, or a thousand; a worker remembers 8,192.
PAGES: Final = 100
MANY: Final = 1000
BATCHES: Final = 10
_LIST: Final = f"/v1/files?limit={PAGE}"


def grow(stack: Stack) -> None:
    """Lists, redirects and announcements on ever larger tables, up to the one that `read` needs."""
    stack.query(rows.empty)
    filled = 0
    for count in stack.plan.rows:
        stack.say(f"filling the table to {count:,} rows")
        endpoint = stack.settings.destinations["images"].stored_endpoint
        first = filled + 1
        stack.query(partial(rows.fill, first=first, last=count, endpoint=endpoint))
        filled = count
        with stack.service() as ours:
            cases = [
                Case(f"list of {PAGE}", ours, [_LIST]),
                Case(f"list of {PAGE}, half-way", ours, [far_page(stack, count // 2)]),
                Case("redirect", ours, _content_paths(stack)),
                announcing("announce", ours, stack),
            ]
            stack.measure(f"{count:,} rows", cases)
    stack.results.add(
        "database", "bytes a file, indexes included", stack.query(rows.bytes_a_row), "bytes"
    )


def read(stack: Stack) -> None:
    """Lists and a batch of links, beside their peers, on the largest table."""
    results, largest = stack.results, stack.plan.rows[-1]
    with (
        stack.service() as ours,
        stack.echo() as echo,
        stack.service("bench.peers.lists:without_links") as plain,
        stack.service("bench.peers.lists:signed_by_aioboto3") as slow,
    ):
        far = far_page(stack, min(FAR_PAGE * PAGE, largest - PAGE) - PAGE)
        section, far_name = f"list of {PAGE}", f"claimcheck, page {FAR_PAGE:,}"
        cases = [
            Case("claimcheck", ours, [_LIST]),
            Case(ANEW, ours, many_pages(stack)),
            Case("without links", plain, [_LIST]),
            Case("without links, as many pages", plain, many_pages(stack)),
            # Of many at once none is answered before a quick run has ended.
            by_aioboto3 := Case("signed by aioboto3", slow, [_LIST], connections=2),
        ]
        for case in cases[:2]:
            require_names(case)
        # It loads botocore's client with its first request, which may take longer than a run.
        ask(by_aioboto3)
        if largest > FAR_PAGE * PAGE:
            cases.insert(1, Case(far_name, ours, [far]))
        stack.measure(section, cases)
        results.compare(
            section, "claimcheck", far_name, ANEW, "without links", "signed by aioboto3"
        )
        results.compare(section, ANEW, "without links, as many pages")
        bodies = batches(stack, BATCHES)
        _beside_echo(stack, f"presign batch of {MANY:,}", ours, echo, ["/v1/files/presign"], bodies)


def require_names(case: Case) -> None:
    """Raises BenchError unless each link of the page gives the name that its user gave the file."""
    status, text = ask(case)
    items = json.loads(text)["items"] if status == 200 else []
    for item in items:
        query = parse_qs(urlsplit(item["presigned_url"]).query)
        [disposition] = query.get("response-content-disposition", [""])
        name = item["filename"]
        # RFC 6266 section 4.1, RFC 8187 section 3.2.
        said = (f'filename="{name}"', f"filename*=UTF-8''{quote(name, safe='')}")
        if not any(each in disposition for each in said):
            raise BenchError(f"{case.name}: a link without its file's name: {item}")
    if len(items) != PAGE:
        raise BenchError(f"{case.name}: {status}, {len(items)} files on the page")


def redirect(stack: Stack) -> None:
    """Redirects to links of a thousand files, in turn."""
    with stack.service() as ours, stack.echo() as echo:
        _beside_echo(stack, "redirect", ours, echo, _content_paths(stack), [])


def batches(stack: Stack, count: int) -> list[dict[str, list[str]]]:
    """So many requests for a thousand links each, all of different files."""
    ids = stack.query(lambda db: rows.newest_ids(db, count * MANY))
    return [{"ids": ids[start : start + MANY]} for start in range(0, len(ids), MANY)]


def _beside_echo(
    stack: Stack,
    section: str,
    ours: Server,
    echo: Server,
    paths: list[str],
    bodies: list[dict[str, list[str]]],
) -> None:
    method = "POST" if bodies else "GET"
    case = Case("claimcheck", ours, paths, method, bodies)
    stack.measure(
        section,
        [
            without_problem(case) if bodies else case,
            Case("FastAPI echo", echo, paths, method, bodies),
        ],
    )
    stack.results.compare(section, "claimcheck", "FastAPI echo")


def _content_paths(stack: Stack) -> list[str]:
    ids = stack.query(lambda db: rows.newest_ids(db, MANY))
    return [f"/v1/files/{file_id}/content" for file_id in ids]


def far_page(stack: Stack, offset: int) -> str:
    """The list's page that `offset` newer files precede, as a client would ask for it."""
    [page] = _pages_after(stack, [str(stack.query(lambda db: rows.id_at(db, offset - 1)))])
    return page


def many_pages(stack: Stack) -> list[str]:
    """Different pages of the list, with more links on them than a worker remembers."""
    ids = stack.query(lambda db: rows.newest_ids(db, PAGES * PAGE))
    return _pages_after(stack, ids[PAGE - 1 : -1 : PAGE])


def _pages_after(stack: Stack, ids: list[str]) -> list[str]:
    async def cursors() -> list[str]:
        async with open_resources(stack.settings) as res:
            scope = list_name(Narrowing(), DEV)
            return [encode_cursor(res.cursor_secret, scope, UUID(file_id)) for file_id in ids]

    return [f"{_LIST}&cursor={cursor}" for cursor in asyncio.run(cursors())]
