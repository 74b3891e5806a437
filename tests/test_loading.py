"""Late loading happens once, and not in the event loop's thread."""

import asyncio
import gc
import threading
from functools import cache
from typing import Final

import pytest

from app.loading import load_once, loading
from tests.support.late import imported_late

# Imports of coroutines, of what is there by then.
THERE: Final = {
    # From the start on, before the first request, for who keeps limits.
    *(("app/db/inserts.py", "app.db.reserve"), ("app/uploads/rules.py", "app.db.reserve")),
    ("app/main.py", "app.usage.levels"),
    # `load_once` has loaded it.
    *(("app/store/client.py", "app.store.web"), ("app/store/client.py", "app.store.session")),
    # The sweep answers no requests.
    ("app/upkeep/sweep.py", "app.usage.levels"),
}


async def test_however_many_need_it_it_is_loaded_once_in_a_thread() -> None:
    threads = []

    @cache
    def load() -> object:
        threads.append(threading.current_thread())
        return object()

    first, *others = await asyncio.gather(*(load_once(load) for _ in range(20)))
    assert others == [first] * 19
    assert await load_once(load) is first
    assert len(threads) == 1
    assert threads != [threading.main_thread()]


async def test_a_failure_is_tried_again() -> None:
    failures = [OSError("no memory")]

    @cache
    def load() -> str:
        if failures:
            raise failures.pop()
        return "loaded"

    with pytest.raises(OSError, match="no memory"):
        await load_once(load)
    assert await load_once(load) == "loaded"


@pytest.mark.parametrize("failure", [None, OSError("no memory")])
async def test_nothing_is_collected_meanwhile(failure: OSError | None) -> None:
    collecting = []

    @cache
    def load() -> None:
        collecting.append(gc.isenabled())
        if failure is not None:
            raise failure

    assert gc.isenabled()
    try:
        await load_once(load)
    except OSError as error:
        assert error is failure  # noqa: PT017
    assert collecting == [False]
    assert gc.isenabled()
    # Who has turned it off finds it so.
    gc.disable()
    try:
        with loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_no_coroutine_imports_what_is_not_there() -> None:
    assert {(late.path, late.module) for late in imported_late() if late.in_coroutine} == THERE
