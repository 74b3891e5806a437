"""`manage.py claimcheck_import shop.Product.picture --from image_url`: old columns become files."""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from claimcheck_client import ClaimcheckError, Client
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, QuerySet

from django_claimcheck.conf import conf
from django_claimcheck.fields import ClaimcheckField
from django_claimcheck.importing import DONE, Job, Outcome, Row, Said, imported, listed, put_back

_COLUMNS = ("owner", "tenant", "filename", "created_at")
_WIDTH = 24


class Command(BaseCommand):
    help = (
        "Fill a ClaimcheckField from a column that holds the URLs or keys of objects: django-"
        "s3direct's, a FileField's on django-storages, or any other. First write a list for "
        "`claimcheck adopt` with --export; then run it again with --apply. A dry run without."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("field", metavar="APP.MODEL.FIELD", help="the ClaimcheckField, as shop.Product.picture")
        add("--from", required=True, dest="column", metavar="FIELD", help="the model's old field")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--export", type=Path, metavar="FILE.csv", help="write adopt's list")
        what.add_argument("--apply", action="store_true", help="store it; else only look")
        add(
            "--with",
            action="append",
            default=[],
            dest="more",
            metavar="COLUMN=LOOKUP",
            help=f"for --export: fill a column ({', '.join(_COLUMNS)}) from each row, as in "
            "owner=author__username",
        )
        add("--base", metavar="URL", help="under which the keys lie, where the old field has keys")
        add("--cut", action="append", default=[], metavar="PREFIX", help="take it away: then a key")
        add(
            "--back",
            action="store_true",
            help="fill the old field from the new one: with URLs, or with keys under --base",
        )
        add(
            "--anyway",
            action="store_true",
            help="take files of other destinations than the field's",
        )
        add("--database", default=DEFAULT_DB_ALIAS, help="default: %(default)s")

    def handle(self, **options: Any) -> None:
        if options["export"] and options["back"]:
            raise CommandError("There is nothing to export for the way back: leave one out.")
        if options["more"] and not options["export"]:
            raise CommandError("--with fills columns of the list that --export writes.")
        if options["back"] and options["field"].rpartition(".")[2] == options["column"]:
            raise CommandError("--back fills another field than the ClaimcheckField.")
        field, rows = _found(options["field"], options["column"], options["database"])
        how = {name: options[name] for name in ("base", "cut", "anyway")}
        job = Job(rows, field, options["column"], **how)
        counts: Counter[Outcome] = Counter()
        total = rows.count()
        try:
            with closing(self._said(job, options)) as said:
                for one in said:
                    self.stdout.write(json.dumps(_as_json(one), ensure_ascii=False, default=str))
                    counts[one.outcome] += 1
                    self._draw(counts.total(), total)
        except (ClaimcheckError, FieldError) as error:
            raise CommandError(f"{error} What was done is done; call it again to go on.") from error
        finally:
            self._draw(total, total)
        self._end(counts, options)

    def _said(self, job: Job, options: dict[str, Any]) -> Generator[Said, None, None]:
        if options["export"]:
            yield from _exported(job, options["export"], _pairs(options["more"]))
            return
        work = put_back if options["back"] else imported
        # More patient than that of pages.
        with Client(conf().url, conf().key, cache=None) as client:
            yield from work(job, client, apply=options["apply"])

    def _draw(self, done: int, total: int) -> None:
        # Beside a report that is shown, a bar would be in its way.
        is_shown = self.stderr.isatty() and not self.stdout.isatty()
        if not is_shown or (done % 100 and done != total):
            return
        full = _WIDTH * done // max(total, 1)
        line = f"\r[{'#' * full}{'.' * (_WIDTH - full)}] {done:,} of {total:,} rows\x1b[K"
        self.stderr.write("\r\x1b[K" if done == total else line, ending="")

    def _end(self, counts: Counter[Outcome], options: dict[str, Any]) -> None:
        said = ", ".join(f"{counts[one]:,} {one.value}" for one in Outcome if counts[one])
        if options["export"]:
            end = f"; next: claimcheck adopt --list {options['export']} --owner ... --apply"
        else:
            end = "" if options["apply"] else "; nothing was stored: that takes --apply"
        self.stderr.write(f"{counts.total():,} rows: {said or 'none'}{end}", self.style.NOTICE)
        if counts[Outcome.UNKNOWN] and not (counts[Outcome.IMPORTED] or counts[Outcome.KEPT]):
            self.stderr.write(
                "The service knows none of them: were they adopted, and for the owner of "
                "CLAIMCHECK's KEY (or has it the scope files:all)?"
            )
        if any(outcome not in DONE for outcome in counts):
            sys.exit(2)


def _as_json(one: Said) -> dict[str, Any]:
    return {
        "pk": one.row.pk,
        "value": one.row.old,
        "outcome": one.outcome.value,
        "reason": one.reason,
        "file_id": one.file_id,
    }


def _found(path: str, column: str, database: str) -> tuple[ClaimcheckField, QuerySet[Model]]:
    label, _, name = path.rpartition(".")
    if "." not in label:
        raise CommandError(f"Name app, model and field, as in shop.Product.picture, not {path!r}.")
    try:
        model = apps.get_model(label)
        field, old = model._meta.get_field(name), model._meta.get_field(column)
    except (ValueError, LookupError, FieldDoesNotExist) as error:
        raise CommandError(f"There is no such field: {error}") from error
    if not isinstance(field, ClaimcheckField):
        raise CommandError(f"{path} is no ClaimcheckField.")
    if old.column is None or old.is_relation:
        raise CommandError(f"{column} is no column that holds text.")
    # All rows: a model's own manager may hide some.
    return field, model._base_manager.using(database).all()


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    for column, lookup in pairs.items():
        if column not in _COLUMNS or not lookup:
            raise CommandError(f"--with takes COLUMN=LOOKUP, of {', '.join(_COLUMNS)}.")
    return pairs


def _exported(job: Job, path: Path, more: dict[str, str]) -> Iterator[Said]:
    """Write a line for each URL that a row's value may mean, as `claimcheck adopt` reads it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["url", *more, "attach_to"])
        for said, urls in listed(job, tuple(more.values())):
            given = [_text(value) for value in said.row.more]
            writer.writerows([url, *given, _attach_to(job, said.row)] for url in urls)
            yield said


def _attach_to(job: Job, row: Row) -> str:
    return (
        "" if job.field.attach is None else f"{job.field.attach[0]}/{row.pk}/{job.field.attach[1]}"
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
