"""An upload in parts, by the calls that the service itself makes."""

from typing import Final

from botocore.exceptions import ClientError

from app.bucket_client import error_code
from app.doctor.patient import FIRST, OTHER, SIGNED_FOR, Patient
from app.doctor.remedies import remedy_for
from app.errors import Problem

_RIGHTS: Final = {
    "CreateMultipartUpload": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}


async def check_multipart(patient: Patient) -> None:
    """Begin, send a part as a browser does, join; send the part again; abort another upload."""
    try:
        refusal = await _try(patient)
    except Problem as problem:
        cause = problem.__cause__
        if isinstance(cause, ClientError):
            code = error_code(cause)
            _say_broken(patient, code, remedy_for(code, _RIGHTS[cause.operation_name]))
        else:
            _say_broken(patient, problem.detail, remedy_for(""))
        return
    if refusal is not None:
        said = f"a part was not stored ({refusal})"
        _say_broken(patient, said, remedy_for(refusal, "s3:PutObject"))


async def _try(patient: Patient) -> str | None:
    """What the store said to a part that it did not store, None if it did."""
    key = patient.new_key()
    made = patient.object_at(key)
    upload_id = await _begin(patient, key)
    [url], _ = await patient.signer.presign_parts(
        patient.destination.address, key, upload_id, [(1, len(FIRST))], expires_in=SIGNED_FOR
    )
    sent = await patient.visitor.send("PUT", url, None, FIRST)
    parts = await made.list_parts(upload_id)
    if not sent.good or not parts:
        return sent.said
    await made.complete_upload(upload_id, parts)
    del patient.begun[upload_id]
    again = await patient.visitor.send("PUT", url, None, OTHER)
    await _try_copies(patient, key)
    other = await _begin(patient, key)
    await made.find_uploads()
    await made.abort_upload(other)
    del patient.begun[other]
    patient.abilities.multipart = not again.good
    patient.findings.judge(
        not again.good,
        "multipart",
        "The store takes an upload in parts; when it is joined, its parts' URLs are dead.",
        "A part can be sent again after the parts were joined.",
        "Do not send in parts to this store: lower max_size to multipart_threshold.",
    )
    return None


async def _try_copies(patient: Patient, source: str) -> None:
    """Whether a part's URL can be made to copy an object that nobody named when it was signed."""
    destination = patient.destination
    copying = {"x-amz-copy-source": f"/{destination.bucket}/{source}"}
    made = []
    for size in (len(FIRST), None) if destination.unsized_parts else (len(FIRST),):
        key = patient.new_key()
        upload_id = await _begin(patient, key)
        [url], _ = await patient.signer.presign_parts(
            destination.address, key, upload_id, [(1, size)], expires_in=SIGNED_FOR
        )
        sent = await patient.visitor.send("PUT", url, copying, FIRST if size else b"")
        if sent.good:
            made.append(size)
        await patient.object_at(key).abort_upload(upload_id)
        del patient.begun[upload_id]
    if not made:
        patient.findings.ok("part-copies", "The store makes no part a copy of another object.")
        return
    remedy = "Set the destination's unsized_parts = false: Uppy then sends in one piece alone."
    if made != [None]:
        remedy += " And set max_size no larger than multipart_threshold, with method = post."
    patient.findings.warn(
        "part-copies",
        "The store obeys an x-amz-copy-source that nobody signed: whoever may upload in parts can "
        "make one a copy of any object that the service may read, and read that.",
        remedy,
    )


async def _begin(patient: Patient, key: str) -> str:
    upload_id = await patient.object_at(key).create_upload(patient.headers("multipart"))
    patient.begun[upload_id] = key
    return upload_id


def _say_broken(patient: Patient, said: str, remedy: str) -> None:
    patient.abilities.multipart = False
    destination, findings = patient.destination, patient.findings
    meaning = f"An upload in parts does not work: {said}."
    if destination.method == "multipart" or destination.max_size > destination.multipart_threshold:
        findings.fail("multipart", meaning, remedy)
    else:
        findings.ok("multipart", f"{meaning} Files here are too small to need it.")
