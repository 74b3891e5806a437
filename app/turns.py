"""Turns of the event loop: long work stops now and then, so that other requests get on."""

import asyncio
from time import perf_counter
from typing import Final

# Two or three announcements on a machine of today. A turn costs some 10 us.
SECONDS: Final = 0.0005


class Turn:
    """One task's turn. It begins when this is made, and anew after each time that it was over."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end = perf_counter() + SECONDS

    async def over(self) -> None:
        """Let all others have theirs, if this one has taken its time; call it after each step.

        By the clock on the wall: a machine that is busy with other processes makes others wait too.
        """
        if perf_counter() > self._end:
            await asyncio.sleep(0)
            self._end = perf_counter() + SECONDS
