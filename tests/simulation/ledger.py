"""The ledger: triggers by which PostgreSQL itself notes each row that a transaction changes.

So every committed move is seen, whoever made it, with all that was committed together with it, and
nothing that was rolled back.
"""

import json
from itertools import groupby
from typing import Any, Final, Protocol

from tests.simulation.books import TABLES
from tests.simulation.model import Change

DDL: Final = """
CREATE SCHEMA IF NOT EXISTS sim;
CREATE UNLOGGED TABLE sim.ledger (
    seq bigserial PRIMARY KEY, tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    name text NOT NULL, before jsonb, after jsonb
);
CREATE FUNCTION sim.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sim.ledger (name, before, after) VALUES (
        TG_TABLE_NAME,
        CASE WHEN TG_OP != 'INSERT' THEN to_jsonb(OLD) END,
        CASE WHEN TG_OP != 'DELETE' THEN to_jsonb(NEW) END
    );
    RETURN NULL;
END $$;
""" + "\n".join(
    f"CREATE TRIGGER sim_note AFTER INSERT OR UPDATE OR DELETE ON public.{name} "
    "FOR EACH ROW EXECUTE FUNCTION sim.note();"
    for name in TABLES
)
_TAKE: Final = """
WITH gone AS (DELETE FROM sim.ledger RETURNING *)
SELECT seq, tx::text AS tx, name, before::text AS before, after::text AS after
FROM gone ORDER BY min(seq) OVER (PARTITION BY tx), seq
"""


class Reader(Protocol):
    """A connection apart from those of the service, asked while time stands still."""

    def fetch(self, sql: str, *args: Any) -> list[Any]: ...


def take(reader: Reader) -> list[list[Change]]:
    """The transactions that were committed since it was asked last, in order.

    Rows of one table that follow each other are in the order of their ids: one statement may have
    changed them, whose order depends on where they lie.
    """
    rows = reader.fetch(_TAKE)
    return [
        [
            Change(name, _row(row["before"]), _row(row["after"]))
            for name, alike in groupby(rows_of_one, key=lambda row: row["name"])
            for row in sorted(alike, key=_id)
        ]
        for _, rows_of_one in groupby(rows, key=lambda row: row["tx"])
    ]


def _id(row: Any) -> str:
    found: dict[str, Any] = _row(row["after"] or row["before"])
    return str(found.get("id", found))


def _row(text: str | None) -> Any:
    return None if text is None else json.loads(text)
