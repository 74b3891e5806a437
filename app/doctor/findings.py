"""What the doctor finds: each finding says what was looked at, what it means, how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. A warning works, with less than one might think."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is a stable name, `subject` the service, a bucket or a destination."""

    check: str
    subject: str
    level: Level
    meaning: str
    remedy: str = ""


@dataclass(slots=True)
class Abilities:
    """What a store did when it was tried; None where that could not be found out."""

    forms: bool | None = None
    puts: bool | None = None
    multipart: bool | None = None
    versions: bool | None = None
    conditional_writes: bool | None = None
    checksums: bool | None = None
    signed_headers_only: bool | None = None
    signature_age: bool | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """For one destination: what its store can do, and the settings that suit it best."""

    store: str
    abilities: Abilities
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, in the order in which it was looked at."""

    findings: tuple[Finding, ...]
    destinations: dict[str, Advice] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """The worst of the findings."""
        levels = {finding.level for finding in self.findings}
        return next((bad for bad in (Level.FAILURE, Level.WARNING) if bad in levels), Level.OK)


class Findings:
    """Findings about one subject, as they are made."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self.made: list[Finding] = []

    def ok(self, check: str, meaning: str) -> None:
        self.made.append(Finding(check, self._subject, Level.OK, meaning))

    def warn(self, check: str, meaning: str, remedy: str) -> None:
        self.made.append(Finding(check, self._subject, Level.WARNING, meaning, remedy))

    def fail(self, check: str, meaning: str, remedy: str) -> None:
        self.made.append(Finding(check, self._subject, Level.FAILURE, meaning, remedy))

    def judge(self, good: bool, check: str, meaning: str, otherwise: str, remedy: str) -> None:
        """`ok` if it is good, else a failure that says `otherwise`."""
        if good:
            self.ok(check, meaning)
        else:
            self.fail(check, otherwise, remedy)

    def has_failed(self, checks: Iterable[str] = ()) -> bool:
        """Whether one of these checks, or any, has failed."""
        wanted = set(checks)
        return any(
            f.level is Level.FAILURE and (not wanted or f.check in wanted) for f in self.made
        )
