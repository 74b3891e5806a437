"""A scanner in the place of clamd's: it finds the test file of scanners, and is away at times."""

from collections.abc import AsyncIterable, Callable
from typing import Any

from app.core.scans import Scan
from app.scans.clamd import Answer, ClamdUnavailable
from app.scans.proof import MARK
from tests.simulation.store.simulated import Pass


def clamd(seam: Pass, process_of: Callable[[], Any]) -> Callable[[str], Any]:
    """Make the stand-in for `app.scans.work.Clamd`."""

    class SimulatedClamd:
        def __init__(self, url: str) -> None:
            self.url = url

        async def scan(self, chunks: AsyncIterable[bytes]) -> Answer:
            """Raises ClamdUnavailable, and what the chunks raise."""
            data = b"".join([chunk async for chunk in chunks])

            def effect() -> Answer:
                if MARK in data:
                    return Answer(Scan.INFECTED, "Eicar-Test-Signature")
                return Answer(Scan.CLEAN, None)

            try:
                answer: Answer = await seam(process_of(), "store", "scan", effect)
            except Exception as error:
                raise ClamdUnavailable(f"clamd is away: {error}") from error
            return answer

    return SimulatedClamd


async def trusted(clamd: Any, size: int) -> list[Any]:
    """Stands in for `app.scans.work.prove`: this scanner reads files to their ends."""
    return []
