"""Costs of statements, as PostgreSQL plans and runs them."""

import json
from dataclasses import dataclass, field
from typing import Any

import asyncpg


@dataclass
class Plan:
    """The cost of a statement: buffers, and how many rows each of its sorts was given."""

    what: str
    buffers: int
    sorted_rows: list[float]


@dataclass
class Planning:
    """A connection that runs nothing, and notes the plans of what it is asked for.

    As an unnamed statement has them, whose arguments are known, and as a named one after some
    uses, which is planned once for any arguments.
    """

    db: asyncpg.Connection
    plans: list[Plan] = field(default_factory=list)
    what: str = ""

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        await self.db.execute(f"PREPARE asked AS {sql}")
        values = ", ".join(map(_literal, arguments))
        for mode in ("custom", "generic"):
            await self.db.execute(f"SET plan_cache_mode = force_{mode}_plan")
            explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE asked"
            plan = json.loads(await self.db.fetchval(f"{explain} ({values})"))[0]["Plan"]
            buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            self.plans.append(Plan(f"{mode}: {self.what}", buffers, list(_sorted_rows(plan))))
        await self.db.execute("DEALLOCATE asked")
        return []

    async def fetchrow(self, sql: str, *arguments: object) -> None:
        await self.fetch(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> int:
        await self.fetch(sql, *arguments)
        return 0


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, list | tuple):
        return f"'{{{', '.join(map(str, value))}}}'"
    return "NULL" if value is None else f"'{value}'"


def _sorted_rows(plan: dict[str, Any]) -> Any:
    below = plan.get("Plans", [])
    if "Sort" in plan["Node Type"]:
        yield below[0]["Actual Rows"] * below[0]["Actual Loops"]
    for node in below:
        yield from _sorted_rows(node)


def dearest(plans: list[Plan]) -> Plan:
    return max(plans, key=lambda plan: plan.buffers)
