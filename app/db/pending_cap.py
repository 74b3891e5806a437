"""The cap on an owner's pending uploads, which a trigger of the database keeps."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import asyncpg

from app.errors import TooManyPending
from app.models.files import File

# Seconds after which it is worth asking again whether there is room.
_RETRY: Final = 60


@contextmanager
def pending_capped(rows: Sequence[File]) -> Iterator[None]:
    """Raise TooManyPending where the database refuses more pending uploads of one owner."""
    try:
        yield
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "pending_cap":
            raise
        raise too_many(rows) from error


def too_many(rows: Sequence[File]) -> TooManyPending:
    """The problem of an owner for whose announced files there is no room."""
    return TooManyPending(
        f"With {'this one' if len(rows) == 1 else f'these {len(rows)}'} you would have more "
        f"than {rows[0].pending_cap} unfinished uploads: confirm or cancel some first.",
        retry_after=_RETRY,
    )


def who_has_too_many(problem: TooManyPending) -> tuple[str, str]:
    """Tenant and owner, as the trigger on `files` names them. `problem` is `pending_capped`'s."""
    error = problem.__cause__
    assert isinstance(error, asyncpg.CheckViolationError)
    tenant, owner = json.loads(error.detail)
    return tenant, owner
