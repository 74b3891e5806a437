"""Findings of the doctor: each says what was checked, what the result means, how to mend it."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.models.seals import CONTENT_MD5, MD5_ETAGS


class Level(StrEnum):
    """How bad it is. A warning works, with less than one might think."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `check` is a stable name, `subject` is `service`, a bucket's name or a destination's.
    """

    check: str
    subject: str
    level: Level
    meaning: str
    remedy: str = ""


@dataclass(slots=True)
class Abilities:
    """Which features of S3 a store was found to have; None where that could not be found out."""

    forms: bool | None = None
    forms_enforced: bool | None = None
    puts: bool | None = None
    puts_enforced: bool | None = None
    multipart: bool | None = None
    versions: bool | None = None
    conditional_writes: bool | None = None
    checksums: bool | None = None
    signed_headers_only: bool | None = None
    signature_age: bool | None = None
    content_md5: bool | None = None
    md5_etags: bool | None = None

    def seals(self) -> dict[str, bool]:
        """Whether each of `app.models.files.Seal` keeps the bytes of a confirmed file; those that
        could not be found out are left out.
        """
        found = {
            "version": self.versions,
            "multipart": self.multipart,
            # A header that nobody signed would make the PUT a copy, which asks for no condition.
            "conditional": self.conditional_writes and self.signed_headers_only,
        }
        return {seal: holds for seal, holds in found.items() if holds is not None}

    def proofs(self) -> dict[str, bool]:
        """All that is remembered of a bucket (`app.models.seals`): `seals`, and what is proved of
        MD5s.
        """
        found = {CONTENT_MD5: self.content_md5, MD5_ETAGS: self.md5_etags}
        return self.seals() | {name: holds for name, holds in found.items() if holds is not None}


@dataclass(frozen=True, slots=True)
class Advice:
    """For one destination: what its store can do, and the settings to change, by variable name."""

    store: str
    abilities: Abilities
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checks, and the advice by destination name."""

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
        self.entries: list[Finding] = []

    def ok(self, check: str, meaning: str) -> None:
        self.entries.append(Finding(check, self._subject, Level.OK, meaning))

    def warn(self, check: str, meaning: str, remedy: str) -> None:
        self.entries.append(Finding(check, self._subject, Level.WARNING, meaning, remedy))

    def fail(self, check: str, meaning: str, remedy: str) -> None:
        self.entries.append(Finding(check, self._subject, Level.FAILURE, meaning, remedy))

    def ok_or_fail(
        self, passed: bool, check: str, meaning: str, otherwise: str, remedy: str
    ) -> None:
        """Add `ok` with `meaning` if the check passed, else a failure that says `otherwise`."""
        if passed:
            self.ok(check, meaning)
        else:
            self.fail(check, otherwise, remedy)

    def ok_or_warn(
        self, passed: bool, check: str, meaning: str, otherwise: str, remedy: str
    ) -> None:
        """Add `ok` with `meaning` if the check passed, else a warning that says `otherwise`."""
        if passed:
            self.ok(check, meaning)
        else:
            self.warn(check, otherwise, remedy)

    def has_failed(self) -> bool:
        """Whether a check has failed."""
        return any(finding.level is Level.FAILURE for finding in self.entries)
