"""Verdicts of virus scanners, and whether a file is served by its verdict. Pure."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.core.destination import Destination


class Scan(StrEnum):
    """A scanner's verdict on a confirmed file."""

    PENDING = "pending"  # nothing yet
    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"  # it could not be scanned, or not all of it


# The tag that GuardDuty puts on an object, and what its values mean (AWS GuardDuty userguide,
# "Monitoring S3 object scans"). What is unsupported, or could not be read, was not scanned.
GUARDDUTY_TAG: Final = "GuardDutyMalwareScanStatus"
GUARDDUTY: Final = MappingProxyType(
    {
        "NO_THREATS_FOUND": Scan.CLEAN,
        "THREATS_FOUND": Scan.INFECTED,
        "UNSUPPORTED": Scan.FAILED,
        "ACCESS_DENIED": Scan.FAILED,
        "FAILED": Scan.FAILED,
    }
)


def standing(scan: str | None, destination: Destination) -> str | None:
    """The verdict that counts: a file without one waits for it where the destination has files
    scanned, also one from before that was so; elsewhere None.
    """
    if scan is None and destination.scan == "required":
        return Scan.PENDING
    return scan


def is_served(scan: str | None, destination: Destination) -> bool:
    """Whether links to a file with this verdict are given."""
    if scan is None:
        return destination.scan != "required"
    if scan == Scan.FAILED:
        return destination.scan_failed == "serve"
    return scan == Scan.CLEAN
