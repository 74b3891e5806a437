"""Steps of the doctor's tests."""

from app.doctor.findings import Finding, Level, Report


def found(report: Report, level: Level) -> dict[str, Finding]:
    return {finding.check: finding for finding in report.findings if finding.level is level}


FAILS, WARNS = Level.FAILURE, Level.WARNING
