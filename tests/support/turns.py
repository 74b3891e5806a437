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
