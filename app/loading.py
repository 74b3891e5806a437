"""Load late what takes long to load: once, in a thread, by who needs it first.

An import, or tables of some MiB, would stop the event loop for tens of milliseconds. In a thread
Python lets other requests go on meanwhile.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from threading import Lock
from typing import Final, TypeVar

_T = TypeVar("_T")
# Whoever comes second waits for it, and loads nothing twice.
_lock: Final = Lock()


async def load_once(load: "_lru_cache_wrapper[_T]", *, stays: bool = True) -> _T:
    """The result of a function without arguments that `functools.cache` remembers; called in a
    thread unless it was called before. `stays` as in `loading`.
    """
    if load.cache_info().currsize:
        return load()
    return await asyncio.to_thread(_load, load, stays)


def _load(load: "_lru_cache_wrapper[_T]", stays: bool) -> _T:
    with _lock, loading(stays=stays):
        return load()


@contextmanager
def loading(*, stays: bool = True) -> Iterator[None]:
    """For what is made to stay: the garbage collector goes through it neither meanwhile, when it is
    all new and takes long, nor ever again (`app.runtime.process`).

    Where little of it `stays`, it is gone through later: what only the collector frees would else
    never be freed.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if stays:
            gc.freeze()
        if is_enabled:
            gc.enable()
