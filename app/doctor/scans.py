"""Whether clamd is there, and scans as much of a file as the settings say; whether GuardDuty's
tags can be read.
"""

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from app.core.words import in_bytes
from app.doctor.examination import CONTENT, Examination
from app.doctor.findings import Findings
from app.doctor.remedies import remedy_for
from app.doctor.service import SUBJECT
from app.errors import Problem
from app.scans.clamd import Clamd, ClamdUnavailable
from app.scans.proof import prove
from app.settings.model import Settings
from app.store.reading import tags_of

_CHECK: Final = "scan"
_RIGHTS: Final = ("s3:GetObjectTagging", "s3:GetObjectVersionTagging")


async def check_clamd(settings: Settings) -> Findings:
    """Send clamd harmless test files, where a destination has it scan. Takes as long as scanning
    the largest file takes.
    """
    findings = Findings(SUBJECT)
    scanned = [
        one
        for one in settings.destinations.values()
        if one.scan == "required" and one.scanner == "clamd"
    ]
    if not scanned or settings.clamd_url is None:
        return findings  # without the URL the settings are refused
    size = settings.clamd_max_size
    try:
        objections = await prove(Clamd(settings.clamd_url), size)
    except ClamdUnavailable as error:
        findings.fail(
            _CHECK, f"Files wait for clamd and are not served: {error}", "Start clamd, or mend it."
        )
        return findings
    for meaning, remedy in objections:
        findings.fail(_CHECK, f"{meaning} Files wait, and are not served.", remedy)
    if not objections:
        findings.ok(_CHECK, f"clamd finds what lies at the end of a file of {in_bytes(size)}.")
    return findings


async def check_tags(examination: Examination) -> None:
    """Read the tags of an object, where GuardDuty puts its verdicts into them."""
    destination = examination.destination
    if destination.scan == "off" or destination.scanner != "guardduty":
        return
    key = examination.new_key()
    client = await examination.client()
    try:
        await client.put_object(Bucket=destination.bucket, Key=key, Body=CONTENT)
    except (ClientError, BotoCoreError, OSError):
        return  # other checks say so
    reason = None
    try:
        await tags_of(examination.object_at(key), None)
    except Problem as problem:
        reason = str(problem.__cause__ or problem.detail)
    examination.findings.ok_or_fail(
        reason is None,
        _CHECK,
        "The tags that GuardDuty sets can be read.",
        f"The tags that GuardDuty sets cannot be read: {reason}. Files wait, and are not served.",
        remedy_for(reason or "", *_RIGHTS),
    )
