"""How often long work offers others their turn."""

import pytest

from app.turns import Turn


class Offers:
    """Counts the offers of all work. Each is taken: no step is short enough to be followed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        over = Turn.over

        async def counted(turn: Turn) -> None:
            self.count += 1
            await over(turn)

        monkeypatch.setattr(Turn, "over", counted)
        monkeypatch.setattr("app.turns.SECONDS", -1.0)

    def taken(self) -> int:
        """Those since this was asked last."""
        count, self.count = self.count, 0
        return count


class Unbroken:
    """Counts the steps of all work between two turns of others, where a turn is over after `most`.
    Each time that something waits for the database others have a turn as well, which is not seen.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self._now = self._run = self._longest = 0
        over = Turn.over

        async def counted(turn: Turn) -> None:
            self._now += 1
            self._run += 1
            end = turn._end
            await over(turn)
            if turn._end != end:
                self._longest, self._run = max(self._longest, self._run), 0

        monkeypatch.setattr(Turn, "over", counted)
        monkeypatch.setattr("app.turns.SECONDS", most)
        monkeypatch.setattr("app.turns.perf_counter", lambda: self._now)

    def longest(self) -> int:
        """The most of one row since this was asked last."""
        longest = max(self._longest, self._run)
        self._longest = self._run = 0
        return longest
