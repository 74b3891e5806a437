"""`claimcheck doctor`: prove that everything works, say how to mend what does not."""

import argparse
import asyncio
import dataclasses
import json
import sys
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from app.commands.parser import Subparsers, add_command
from app.doctor.examine import examine
from app.doctor.findings import Finding, Level, Report
from app.errors import ConfigurationError
from app.settings.model import load_settings

_SIGNS: Final = {
    Level.OK: "[green]✓[/]",
    Level.WARNING: "[yellow]![/]",
    Level.FAILURE: "[red]✗[/]",
}


def add(commands: Subparsers) -> None:
    purpose = (
        "prove that settings, database, buckets and uploads work; say how to mend what does not"
    )
    status = "Exit status 1 if anything fails."
    parser = add_command(commands, "doctor", _doctor, purpose, status=status)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _doctor(options: argparse.Namespace) -> None:
    try:
        report = asyncio.run(examine(load_settings()))
    except ConfigurationError as error:
        meaning = "The service would not start: a setting is wrong or misspelt."
        report = Report((Finding("settings", "service", Level.FAILURE, meaning, str(error)),))
    if options.json:
        document = {"level": report.level, **dataclasses.asdict(report)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        show(Console(), report)
    if report.level is Level.FAILURE:
        sys.exit(1)


def show(console: Console, report: Report) -> None:
    """Print the report: equal findings of several destinations once, the worst at the end."""
    alike: dict[Finding, list[str]] = {}
    for finding in report.findings:
        alike.setdefault(dataclasses.replace(finding, subject=""), []).append(finding.subject)
    for level in Level:
        for finding, subjects in alike.items():
            if finding.level is level:
                _show_finding(console, finding, subjects)
    counts = {level: sum(f.level is level for f in report.findings) for level in Level}
    console.print(", ".join(f"{count} {level}" for level, count in counts.items()))


def _show_finding(console: Console, finding: Finding, subjects: list[str]) -> None:
    who = ", ".join(dict.fromkeys(subjects))
    head = f"{_SIGNS[finding.level]} [bold]{escape(finding.check)}[/] [dim]{escape(who)}[/]"
    console.print(head, highlight=False)
    if finding.level is not Level.OK:
        console.print(Padding(escape(finding.meaning), (0, 0, 0, 4)), highlight=False)
        remedy = f"[bold]→[/] {escape(finding.remedy)}"
        console.print(Padding(remedy, (0, 0, 0, 4)), highlight=False)
