"""Chance from a seed: streams that do not shift each other."""

import math
import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")
# One answer in so many is late, and one is later than any client waits.
_LATE, _LOST = 50, 500
_LOST_OF_STEADY = 20_000
_LATE_TIMES, _LOST_SECONDS = 10.0, 45.0


class Chance:
    """A stream of decisions. `of` gives another one, which depends on the seed and the names alone:
    what is left out of a plan, or asks more often, does not change what the others draw.
    """

    def __init__(self, seed: int, *names: object) -> None:
        self.seed, self.names = seed, names
        # Of a text: Random takes its SHA-512, where a tuple's hash depends on PYTHONHASHSEED.
        self._random = random.Random("/".join(map(str, (seed, *names))))

    def of(self, *names: object) -> "Chance":
        """The stream of these names, from its beginning."""
        return Chance(self.seed, *self.names, *names)

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, among: Sequence[_T]) -> _T:
        return among[int(self._random.random() * len(among))]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def whole(self, low: int, high: int) -> int:
        """From `low` to `high`, both of them possible."""
        return low + int(self._random.random() * (high - low + 1))

    def latency(self, usual: float, *, steady: bool = False) -> float:
        """Seconds: around `usual`, ten times that once in 50, once in 500 beyond any time-out; of
        a `steady` network once in 20,000.
        """
        throw = self._random.random()
        seconds = usual * math.exp(0.5 * self._random.gauss(0.0, 1.0))
        if throw < 1 / (_LOST_OF_STEADY if steady else _LOST):
            return _LOST_SECONDS * (1 + seconds)
        return seconds * _LATE_TIMES if throw < 1 / _LATE else seconds

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)
