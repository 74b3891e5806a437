"""What becomes of an object: found again, compared, read through links, sealed."""

from datetime import timedelta
from uuid import uuid4

from app.core.sigv4 import MAX_EXPIRES_IN
from app.doctor.patient import (
    CONTENT_TYPE,
    FIRST,
    ID_HEADER,
    OTHER,
    Patient,
    sha256,
)
from app.doctor.remedies import APPLY, remedy_for
from app.signer import Signer


async def check_missing(patient: Patient) -> None:
    said = await patient.head(f"{patient.destination.prefix}claimcheck-doctor-{uuid4()}")
    patient.findings.judge(
        said.get("Error") in {"404", "NoSuchKey"},
        "missing-object",
        "A missing object is told from a forbidden one.",
        f"A missing object looks like {said.get('Error', 'one that is there')}: an upload that "
        "has not arrived is taken for a failure of the service.",
        remedy_for("AccessDenied", "s3:ListBucket"),
    )


async def check_stored(patient: Patient, key: str) -> None:
    """What confirm will compare, and the headers that the destination wants on its objects."""
    said = await patient.head(key)
    if code := said.get("Error"):
        patient.findings.fail(
            "confirm",
            f"The service cannot look at what was uploaded: {code}.",
            remedy_for(code, "s3:GetObject"),
        )
        return
    as_sent = (
        said["ContentLength"] == len(FIRST)
        and said.get("ContentType", "").partition(";")[0] == CONTENT_TYPE
        and said.get("Metadata", {}).get(ID_HEADER.removeprefix("x-amz-meta-")) == "doctor"
    )
    patient.findings.judge(
        as_sent,
        "confirm",
        "What was uploaded is found with the size, type and id that it was signed with.",
        "The store does not keep size, type and x-amz-meta-claimcheck-id of an object.",
        "No upload can be confirmed on this store.",
    )
    kept = {"cache_control": "CacheControl", "content_disposition": "ContentDisposition"}
    lost = [
        name
        for name, element in kept.items()
        if (value := getattr(patient.destination, name)) and said.get(element) != value
    ]
    if lost:
        patient.findings.warn(
            "object-headers",
            f"The store does not keep the {' and '.join(lost)} of the destination.",
            "Set the destination's method = put: this store drops them from a form.",
        )


async def check_checksums(patient: Patient) -> None:
    """Whether a SHA-256 that a client announces is compared with the bytes."""
    broken = await patient.signed_put(patient.new_key(), promise=OTHER)
    key = patient.new_key()
    right = await patient.signed_put(key, promise=FIRST)
    refused = (await patient.visitor.put(broken, FIRST)).refused
    kept = (await patient.visitor.put(right, FIRST)).good
    said = await patient.head(key) if kept else {}
    told = said.get("ChecksumSHA256") == sha256(FIRST) and said.get("ChecksumType") is not None
    patient.abilities.checksums = refused and told
    if patient.abilities.checksums:
        patient.findings.ok("checksums", "The store compares an announced SHA-256 and tells it.")
    else:
        patient.findings.warn(
            "checksums",
            "The store does not vouch for an announced SHA-256: checksum_verified stays false.",
            "Nothing to mend: compare the checksum where you read the file, if it matters.",
        )


async def check_links(patient: Patient, key: str) -> None:
    read = await patient.read(
        key,
        response_content_disposition="attachment",
        response_content_type="application/octet-stream",
    )
    if read.body != FIRST:
        patient.findings.fail(
            "links",
            f"A link does not open what was uploaded: {read.said}.",
            remedy_for(read.said, "s3:GetObject"),
        )
        return
    patient.findings.judge(
        read.headers.get("content-disposition") == "attachment"
        and read.headers.get("content-type") == "application/octet-stream",
        "links",
        "Links open, and say how a browser has to treat the file.",
        "The store ignores response-content-disposition and -type in a link, so that a browser "
        "may run what it was to download.",
        "Allow only harmless content types on this store.",
    )


async def check_sealing(patient: Patient, put_key: str | None) -> None:
    """Whether the bytes that were confirmed stay what links serve, when an upload is repeated."""
    if put_key is not None:
        again = await patient.visitor.put(await patient.signed_put(put_key), OTHER)
        patient.abilities.conditional_writes = again.status == 412
    by_form = patient.destination.method == "post"
    key = patient.new_key()
    if by_form:
        form = await patient.signed_form(key)
        await patient.visitor.post(form, FIRST)
    else:
        signed = await patient.signed_put(key, new=False)
        await patient.visitor.put(signed, FIRST)
    version = (await patient.head(key)).get("VersionId")
    patient.abilities.versions = version not in {None, "null"}
    if by_form:
        await patient.visitor.post(form, OTHER)
    else:
        await patient.visitor.put(signed, OTHER)
    if patient.abilities.versions:
        pinned = await patient.read(key, versionId=str(version))
        patient.findings.judge(
            pinned.body == FIRST,
            "sealing",
            "Links pin a version: a repeated upload does not change what they serve.",
            f"A link that pins a version does not open it: {pinned.said}.",
            remedy_for(pinned.said, "s3:GetObjectVersion"),
        )
        return
    _say_unsealed(patient)


def _say_unsealed(patient: Patient) -> None:
    """On a bucket without versions it is the way of sending that seals, or nothing does."""
    destination, abilities, findings = patient.destination, patient.abilities, patient.findings
    if destination.method == "multipart" and abilities.multipart:
        findings.ok("sealing", "What is sent in parts cannot be sent again once they are joined.")
    elif destination.method == "put" and abilities.conditional_writes:
        findings.ok("sealing", "The store refuses a second PUT to the same key.")
    elif destination.method == "put" and destination.conditional_writes:
        findings.fail(
            "sealing",
            "The destination claims conditional_writes, and the store takes a second PUT to the "
            "same key: files are called sealed that are not.",
            f"Set conditional_writes = false. {APPLY} It turns versioning on, which seals better.",
        )
    else:
        findings.warn(
            "sealing",
            "The bucket keeps no versions: whoever holds an upload can replace the bytes until it "
            "expires.",
            f"{APPLY} It turns versioning on. Where the store has none, set method = multipart.",
        )


async def check_age(patient: Patient, key: str) -> None:
    """Whether the policy's limit on a signature's age is kept."""
    age = patient.longest_signature + 3600
    if age + 60 > MAX_EXPIRES_IN:
        return
    past = patient.clock() - timedelta(seconds=age)
    old = await Signer(patient.session, clock=lambda: past).presign(
        "GET", patient.destination.address, key, expires_in=age + 60
    )
    answer = await patient.visitor.send("GET", old.url)
    patient.abilities.signature_age = answer.refused
    if answer.refused:
        patient.findings.ok("signature-age", "Signatures older than any of ours are refused.")
    else:
        patient.findings.warn(
            "signature-age",
            "Signatures of any age are taken, up to S3's seven days.",
            f"{APPLY} If it says that there is nothing to change, the store ignores the policy's "
            "s3:signatureAge, and nothing is to be mended.",
        )
