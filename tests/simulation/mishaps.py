"""Mishaps: what goes wrong in a life, each a function that draws its faults.

To add one, write a function of a stream and of the seconds that clients take, and add it to the
list MISHAPS.
"""

from collections.abc import Callable
from typing import Final

from tests.simulation.chance import Chance
from tests.simulation.faults import Fault, Outcome

PROCESSES: Final = ("web1", "web2", "worker")


def _window(chance: Chance, length: float) -> tuple[float, float]:
    start = chance.between(0.0, length)
    return start, start + chance.pick([2.0, 10.0, 45.0])


def store_loses_answers(chance: Chance, length: float) -> list[Fault]:
    """The store does as it is asked, and nobody hears of it."""
    start, until = _window(chance, length)
    return [Fault("after", "store", start=start, until=until, odds=chance.between(0.05, 0.5))]


def store_is_away(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [Fault("before", "store", start=start, until=until, odds=chance.pick([0.3, 1.0]))]


def store_refuses(chance: Chance, length: float) -> list[Fault]:
    """It throttles, or fails, and says so."""
    code = chance.pick(["SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"])
    start, until = _window(chance, length)
    return [Fault("before", "store", start=start, until=until, odds=0.3, code=code)]


def store_refuses_to_join_late(chance: Chance, length: float) -> list[Fault]:
    """It takes its time with parts, and then lets nobody join them, for as long as its policy is
    wrong.
    """
    seconds = chance.between(3.0, 12.0)
    return [
        Fault("before", "store", name="complete", times=4, seconds=seconds, code="AccessDenied")
    ]


def store_is_slow(chance: Chance, length: float) -> list[Fault]:
    """Calls take effect long after whoever sent them has given up."""
    start, until = _window(chance, length)
    seconds = chance.pick([3.0, 12.0, 40.0])
    return [Fault("late", "store", start=start, until=until, odds=0.3, seconds=seconds)]


def one_call_is_late(chance: Chance, length: float) -> list[Fault]:
    name = chance.pick(["complete", "delete", "abort", "create", "list", "PUT", "POST", ""])
    seconds = chance.pick([9.0, 70.0, 400.0])
    return [Fault("late", "store", name=name, at=chance.whole(1, 3), seconds=seconds)]


def browsers_lose_answers(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [Fault("after", "browser", start=start, until=until, odds=chance.between(0.1, 0.6))]


def browsers_are_offline(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [Fault("before", "browser", start=start, until=until, odds=0.7)]


def commits_are_unknown(chance: Chance, length: float) -> list[Fault]:
    """The connection is cut at a commit: it was made, or it was not."""
    outcome: Outcome = chance.pick(["before", "after"])
    return [Fault(outcome, "commit", at=chance.whole(1, 40), times=chance.whole(1, 3))]


def statements_are_unknown(chance: Chance, length: float) -> list[Fault]:
    outcome: Outcome = chance.pick(["before", "after"])
    name = chance.pick(["", "UPDATE files", "INSERT", "SELECT files"])
    return [Fault(outcome, "database", name=name, at=chance.whole(1, 60), times=chance.whole(1, 3))]


def database_is_away(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [
        Fault("before", kind, start=start, until=until, odds=chance.pick([0.2, 1.0]))
        for kind in ("database", "commit")
    ]


def database_is_slow(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [Fault("late", "database", start=start, until=until, odds=0.1, seconds=4.0)]


def database_refuses(chance: Chance, length: float) -> list[Fault]:
    """It cancels statements, has no room left, or is a standby by now."""
    code = chance.pick(["57014", "53100", "25006"])
    name = chance.pick(["UPDATE", "INSERT", "DELETE", "SELECT"])
    start, until = _window(chance, length)
    return [Fault("before", "database", "", name, start=start, until=until, odds=0.3, code=code)]


def database_lets_nobody_in(chance: Chance, length: float) -> list[Fault]:
    """It starts, or has no connection left."""
    code = chance.pick(["57P03", "53300"])
    start, until = _window(chance, length)
    return [
        Fault("before", "database", "", "CONNECT", start=start, until=until, odds=0.6, code=code)
    ]


def one_dies(chance: Chance, length: float) -> list[Fault]:
    """A process is killed in the middle of something, and comes back."""
    outcome: Outcome = chance.pick(["kill_before", "kill_after"])
    kind = chance.pick(["database", "commit", "store", "store"])
    at, seconds = chance.whole(1, 60 if kind == "database" else 15), chance.pick([1.0, 20.0])
    return [Fault(outcome, kind, chance.pick(PROCESSES), at=at, seconds=seconds)]


def one_dies_at_a_call(chance: Chance, length: float) -> list[Fault]:
    outcome: Outcome = chance.pick(["kill_before", "kill_after"])
    name = chance.pick(["complete", "delete", "abort", "create", "list", "GET", "HEAD"])
    process = chance.pick(PROCESSES)
    return [Fault(outcome, "store", process, name, at=chance.whole(1, 3), seconds=5.0)]


def one_dies_at_a_move(chance: Chance, length: float) -> list[Fault]:
    outcome: Outcome = chance.pick(["kill_before", "kill_after"])
    process = chance.pick(PROCESSES)
    at = chance.whole(1, 6)
    return [Fault(outcome, "database", process, "UPDATE files", at=at, seconds=5.0)]


def one_vanishes_in_a_transaction(chance: Chance, length: float) -> list[Fault]:
    """Its machine is gone, and what it has locked stays so until the database gives it up."""
    name, process = chance.pick(["UPDATE", "INSERT", "SELECT", "DELETE"]), chance.pick(PROCESSES)
    at, seconds = chance.whole(1, 30), chance.pick([1.0, 20.0])
    return [Fault("kill_after", "database", process, name, at=at, seconds=seconds, silent=True)]


def webhooks_fail(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    outcome: Outcome = chance.pick(["before", "after"])
    return [Fault(outcome, "webhook", start=start, until=until, odds=0.5)]


def webhooks_are_slow(chance: Chance, length: float) -> list[Fault]:
    start, until = _window(chance, length)
    return [Fault("late", "webhook", start=start, until=until, odds=0.5, seconds=14.0)]


MISHAPS: Final[list[Callable[[Chance, float], list[Fault]]]] = [
    store_loses_answers,
    store_is_away,
    store_refuses,
    store_is_slow,
    one_call_is_late,
    browsers_lose_answers,
    browsers_are_offline,
    commits_are_unknown,
    statements_are_unknown,
    database_is_away,
    database_is_slow,
    database_refuses,
    database_lets_nobody_in,
    one_dies,
    one_dies_at_a_call,
    one_dies_at_a_move,
    one_vanishes_in_a_transaction,
    webhooks_fail,
    webhooks_are_slow,
]
