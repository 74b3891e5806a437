"""`python -m bench --against f186b33 --claims`: what is promised beside it, and what is not."""

import pytest

from bench import __main__ as command
from bench import against, improved
from bench.against import AGAIN, NEW, OLD, Comparison, Row, Sample


def improved_rows(confirm: float, own: float, redirect: float, start: float) -> list[Row]:
    """Rows of a working tree that is so many times as fast, and half as costly all in all."""
    rows = []
    for name, rate, per_own_cpu in (
        *(("announce", 1, 1), ("confirm", confirm, own), ("redirect", redirect, 2)),
        *(("list of 100, signed anew", 1, 1), ("start to first answer", start, 0)),
        ("sweep by two at once", 2, 0),
    ):
        samples = {OLD: [Sample(10, 10, 10)], AGAIN: [Sample(10, 10, 10)]}
        new = [Sample(10 * rate, 20, 10 * per_own_cpu)]
        rows.append(Row(name, {**samples, NEW: new}))
    return rows


CLAIMED: list[tuple[list[Row], list[str]]] = [
    # Of the service 1 + 1/3 + 10/2 + 1 of 13 is 0.56, though with PostgreSQL it is 0.5.
    (improved_rows(3, 3, 2, 2), ["one file's life, processor time of the service alone"]),
    (improved_rows(2.9, 3.1, 2, 2), ["confirms a second,", "service alone"]),
    (improved_rows(3, 2.9, 2, 2), ["confirms a second of", "service alone"]),
    (improved_rows(3, 3, 1.9, 2), ["redirects", "service alone"]),
    (improved_rows(3, 3, 2, 1.9), ["start to first answer", "service alone"]),
    ([row for row in improved_rows(3, 3, 2, 2) if row.name != "announce"], []),
]


@pytest.mark.parametrize(("rows", "missed"), CLAIMED)
def test_what_is_promised_beside_an_older_commit_is_judged(
    rows: list[Row], missed: list[str]
) -> None:
    found = [
        claim.text
        for claim in improved.judge(Comparison("f186b337ebd2", rows, []))
        if claim.verdict == "NOT MET"
    ]
    assert len(found) == len(missed)
    assert all(words in text for words, text in zip(missed, found, strict=True))


@pytest.mark.parametrize(("rate", "status"), [(3, 0), (2.9, 1)])
def test_with_claims_those_decide_and_not_what_is_slower(
    rate: float,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    confirm = Row("confirm", {OLD: [Sample(10, 10, 1)], AGAIN: [Sample(10, 10, 1)]})
    confirm.samples[NEW] = [Sample(10 * rate, 9, 3)]
    comparison = Comparison("f186b337ebd2", [confirm], [])
    monkeypatch.setattr("sys.argv", ["bench", "confirm", "--against", "f186b33", "--claims"])
    monkeypatch.setattr(against, "measure", lambda *_: comparison)
    monkeypatch.setattr(command.Cores, "take", lambda: None)
    if status:
        with pytest.raises(SystemExit, match="not met: confirms a second, times"):
            command.main()
    else:
        command.main()
    said = capsys.readouterr().out
    assert "SLOWER" in said
    assert ("NOT MET" in said) == bool(status)
