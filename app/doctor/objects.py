"""Uploaded objects: metadata, checksums, links, sealing and the age of signatures."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from app.core.sigv4 import MAX_EXPIRES_IN
from app.doctor.examination import CONTENT, CONTENT_TYPE, OTHER_CONTENT, Examination, sha256
from app.doctor.remedies import APPLY, remedy_for
from app.store.look import ID_METADATA, StoredObject
from app.store.signer import Signer


async def check_missing(examination: Examination) -> None:
    """Whether the store tells a missing object from a forbidden one (AWS API, GetObject: 404 needs
    s3:ListBucket).
    """
    found = await examination.look(f"{examination.destination.prefix}claimcheck-doctor-{uuid4()}")
    looks_like = found if isinstance(found, str) else "one that is there"
    examination.findings.ok_or_fail(
        found is None,
        "missing-object",
        "A missing object is told from a forbidden one.",
        f"A missing object looks like {looks_like}: an upload that "
        "has not arrived is taken for a failure of the service.",
        remedy_for("AccessDenied", "s3:ListBucket"),
    )


async def check_stored(examination: Examination, key: str) -> None:
    """Whether the object has the size, type and id that confirm compares, and the headers that the
    destination sets on its objects.
    """
    found = await examination.look(key)
    if not isinstance(found, StoredObject):
        code = found or "it is not there"
        examination.findings.fail(
            "confirm",
            f"The service cannot look at what was uploaded: {code}.",
            remedy_for(code, "s3:GetObject"),
        )
        return
    as_sent = (
        found.size == len(CONTENT)
        and found.content_type.partition(";")[0] == CONTENT_TYPE
        and found.metadata.get(ID_METADATA) == "doctor"
    )
    examination.findings.ok_or_fail(
        as_sent,
        "confirm",
        "What was uploaded is found with the size, type and id that it was signed with.",
        "The store does not keep size, type and x-amz-meta-claimcheck-id of an object.",
        "No upload can be confirmed on this store.",
    )
    await _check_start(examination, key, found)
    kept = ("cache_control", "content_disposition")
    lost = [
        name
        for name in kept
        if (value := getattr(examination.destination, name))
        and found.serving.get(name.replace("_", "-")) != value
    ]
    if lost:
        examination.findings.warn(
            "object-headers",
            f"The store does not keep the {' and '.join(lost)} of the destination.",
            "Set the destination's method = put: this store drops them from a form.",
        )


async def _check_start(examination: Examination, key: str, found: StoredObject) -> None:
    """Whether the first bytes came, and can be read of that version, as links read it."""
    reason = "" if found.start == CONTENT else "it sends others, or none"
    if not reason and found.version_id is not None:
        pinned = await examination.look(key, version_id=found.version_id)
        if not isinstance(pinned, StoredObject) or pinned.start != CONTENT:
            told = pinned if isinstance(pinned, str) else "it sends others, or none"
            reason = f"of version {found.version_id}, {told}"
    if reason:
        examination.findings.fail(
            "confirm",
            f"The service cannot read the first bytes of what was uploaded: {reason}.",
            remedy_for(reason, "s3:GetObject", "s3:GetObjectVersion"),
        )


async def check_checksums(examination: Examination) -> None:
    """Whether the store compares an announced SHA-256 with the bytes, and returns it later."""
    broken = await examination.signed_put(examination.new_key(), checksum_of=OTHER_CONTENT)
    key = examination.new_key()
    right = await examination.signed_put(key, checksum_of=CONTENT)
    refused = (await examination.browser.put(broken, CONTENT)).refused
    kept = (await examination.browser.put(right, CONTENT)).ok
    found = await examination.look(key, checksum=True) if kept else None
    told = isinstance(found, StoredObject) and found.checksum_sha256 == sha256(CONTENT)
    examination.abilities.checksums = refused and told
    examination.findings.ok_or_warn(
        examination.abilities.checksums,
        "checksums",
        "The store compares an announced SHA-256 and tells it.",
        "The store does not vouch for an announced SHA-256: checksum_verified stays false.",
        "Nothing to mend: compare the checksum where you read the file, if it matters.",
    )


async def check_links(examination: Examination, key: str) -> None:
    """Whether a presigned GET serves the bytes, with the response headers that were signed."""
    read = await examination.read(
        key,
        response_content_disposition="attachment",
        response_content_type="application/octet-stream",
    )
    if read.body != CONTENT:
        examination.findings.fail(
            "links",
            f"A link does not open what was uploaded: {read.summary}.",
            remedy_for(read.summary, "s3:GetObject"),
        )
        return
    examination.findings.ok_or_fail(
        read.headers.get("content-disposition") == "attachment"
        and read.headers.get("content-type") == "application/octet-stream",
        "links",
        "Links open, and say how a browser has to treat the file.",
        "The store ignores response-content-disposition and -type in a link, so that a browser "
        "may run what it was to download.",
        "Allow only harmless content types on this store.",
    )


async def check_sealing(examination: Examination) -> None:
    """Whether links go on serving the confirmed bytes when an upload is repeated."""
    key, browser = examination.new_key(), examination.browser
    if examination.destination.method == "post":
        send = partial(browser.post, await examination.signed_form(key))
    else:
        send = partial(browser.put, await examination.signed_put(key, if_absent=False))
    await send(CONTENT)
    found = await examination.look(key)
    version = found.version_id if isinstance(found, StoredObject) else None
    examination.abilities.versions = version is not None
    await send(OTHER_CONTENT)
    if examination.abilities.versions:
        pinned = await examination.read(key, versionId=str(version))
        # What pins nothing is no version.
        examination.abilities.versions = pinned.body == CONTENT
        examination.findings.ok_or_fail(
            pinned.body == CONTENT,
            "sealing",
            "Links pin a version: a repeated upload does not change what they serve.",
            f"A link that pins a version does not open it: {pinned.summary}.",
            remedy_for(pinned.summary, "s3:GetObjectVersion"),
        )
        return
    _report_unsealed(examination)


def _report_unsealed(examination: Examination) -> None:
    """Report which method seals on a bucket without versions, if one does."""
    destination, findings = examination.destination, examination.findings
    abilities = examination.abilities
    if destination.method == "multipart" and abilities.multipart:
        findings.ok("sealing", "What is sent in parts cannot be sent again once they are joined.")
    elif (
        destination.method == "put"
        and destination.conditional_writes
        and abilities.seals().get("conditional")
    ):
        findings.ok("sealing", "The store refuses a second PUT to the same key.")
    elif destination.method == "put" and destination.conditional_writes:
        findings.fail(
            "sealing",
            "The destination claims conditional_writes, and the store takes a second PUT to the "
            "same key, or headers that nobody signed with it: nothing seals its files.",
            f"Set conditional_writes = false. {APPLY} It turns versioning on, which seals better.",
        )
    else:
        # Otherwise the way around a scanner is to send malware where a clean file was scanned.
        is_scanned = destination.scan == "required"
        (findings.fail if is_scanned else findings.warn)(
            "sealing",
            "The bucket keeps no versions: whoever holds an upload can replace the bytes until it "
            f"expires{', after they were scanned too' if is_scanned else ''}.",
            f"{APPLY} It turns versioning on. Where the store has none, do as `advice` says.",
        )


async def check_age(examination: Examination, key: str) -> None:
    """Whether the store enforces the bucket policy's limit on the age of signatures."""
    age = examination.longest_signature + 3600
    if age + 60 > MAX_EXPIRES_IN:
        return
    past = examination.clock() - timedelta(seconds=age)
    old = await Signer(examination.credentials, clock=lambda: past).presign(
        "GET", examination.destination.address, key, expires_in=age + 60
    )
    answer = await examination.browser.send("GET", old.url)
    examination.abilities.signature_age = answer.refused
    examination.findings.ok_or_warn(
        answer.refused,
        "signature-age",
        "Signatures older than any of ours are refused.",
        "Signatures of any age are taken, up to S3's seven days.",
        f"{APPLY} If it says that there is nothing to change, the store ignores the policy's "
        "s3:signatureAge, and nothing is to be mended.",
    )
