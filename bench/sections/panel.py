"""The panel's list of files, on a small table and on the largest."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import urllib.request
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from app.db.migrations import migrate
from app.files.finding import take_all_changes
from app.runtime.resources import open_resources
from app.settings.model import load_settings
from app.staff import accounts as staff
from bench import rows
from bench.load import Case
from bench.servers import BenchError
from bench.stack import Stack

FEW: Final = 1000
# Each has more than a page of files on either table. The last one walks along the names, and looks
# at the type of each file, since no index has both.
PAGES: Final = {
    "first page": "/admin/files",
    "filtered page": "/admin/files?destination=images&type=image/png",
    "walking search": "/admin/files?q=holiday&type=image/png",
}
_NAME: Final = "bench"


def files(stack: Stack) -> None:
    """Three pages on both tables, each in a database of its own, with all that they show."""
    rows_of_many = stack.plan.rows[-1]
    small = _with_few(stack)
    large = dataclasses.replace(stack, environ=stack.environ | {"CLAIMCHECK_ADMIN": "true"})
    stack.say(f"filling the table to {rows_of_many:,} rows")
    endpoint = stack.settings.destinations["images"].stored_endpoint
    large.query(rows.empty)
    large.query(partial(rows.fill, first=1, last=rows_of_many, endpoint=endpoint))
    for one in (small, large):
        asyncio.run(_take_changes(one))
    with small.service() as of_few, large.service() as of_many:
        cookies = [signed_in(one) for one in (small, large)]
        for name, path in PAGES.items():
            cases = [
                Case(f"{count} files", server, [path], cookie=cookie, connections=8)
                for count, server, cookie in zip(
                    ("few", "many"), (of_few, of_many), cookies, strict=True
                )
            ]
            for case, server in zip(cases, (of_few, of_many), strict=True):
                _check(case, server.url + path)
            loads = stack.measure(f"panel, {name}", cases)
            # Beside the ratio of the whole, most of which is the page and the same on both.
            few, many = (loads[case.name].database_cpu for case in cases)
            what = f"{name}: PostgreSQL's own work with many files, times that with few"
            stack.results.add("panel, PostgreSQL alone", what, many / few, "times")


def _with_few(stack: Stack) -> Stack:
    """A second database on the same server, with FEW files in it."""

    async def create(db: asyncpg.Connection) -> None:
        await db.execute("DROP DATABASE IF EXISTS few")
        await db.execute("CREATE DATABASE few")

    stack.query(create)
    url = urlsplit(stack.environ["DATABASE_URL"])._replace(path="/few").geturl()
    environ = stack.environ | {"DATABASE_URL": url, "CLAIMCHECK_ADMIN": "true"}
    small = dataclasses.replace(stack, environ=environ, settings=load_settings(environ))
    migrate(url)
    endpoint = stack.settings.destinations["images"].stored_endpoint
    small.query(partial(rows.fill, first=1, last=FEW, endpoint=endpoint))
    return small


async def _take_changes(stack: Stack) -> None:
    """Write the new files into what finds them: the first search would have the service do it, who
    is still at it long after a run of 10^6 files.
    """
    async with open_resources(load_settings(stack.environ)) as res:
        await take_all_changes(res)


def signed_in(stack: Stack) -> str:
    """The cookie of a new member of staff."""
    return asyncio.run(_signed_in(stack))


async def _signed_in(stack: Stack) -> str:
    # Imported here: the panel may be left out.
    from app.admin.sign_in import cookie_name

    settings = load_settings(stack.environ)
    async with open_resources(settings) as res:
        name = f"{_NAME}-{secrets.token_hex(4)}"
        await staff.create(res, name, "a password of the benchmark", tenant="", scopes=None)
        token = await staff.sign_in(
            res, name, "a password of the benchmark", address="127.0.0.1", before=None
        )
    return f"{cookie_name(settings)}={token}"


def _check(case: Case, url: str) -> None:
    """A page that is not the list would be answered with a redirect, and that fast."""
    request = urllib.request.Request(url, headers={"Cookie": case.cookie or ""})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        page = answer.read().decode()
    if page.count("data-copy=") < 50:
        raise BenchError(f"{case.name}: {url} is not a page of 50 files.")
