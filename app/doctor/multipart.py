"""Multipart uploads, by the calls that the service itself makes."""

from typing import Final

from botocore.exceptions import ClientError

from app.doctor.examination import CONTENT, OTHER_CONTENT, SIGNED_FOR, Examination
from app.doctor.remedies import remedy_for
from app.errors import Problem
from app.store.client import error_code

_RIGHTS: Final = {
    "CreateMultipartUpload": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}


async def check_multipart(examination: Examination) -> None:
    """Begin, send a part as a browser does, join; send the part again; abort another upload."""
    try:
        refusal = await _try(examination)
    except Problem as problem:
        cause = problem.__cause__
        if isinstance(cause, ClientError):
            code = error_code(cause)
            _report_broken(examination, code, remedy_for(code, _RIGHTS[cause.operation_name]))
        else:
            _report_broken(examination, problem.detail, remedy_for(""))
        return
    if refusal is not None:
        reason = f"a part was not stored ({refusal})"
        _report_broken(examination, reason, remedy_for(refusal, "s3:PutObject"))


async def _try(examination: Examination) -> str | None:
    """Run a whole multipart upload; None, or the answer to a part that was not stored."""
    key = examination.new_key()
    made = examination.object_at(key)
    upload_id = await _begin(examination, key)
    [url], _ = await examination.signer.presign_parts(
        examination.destination.address, key, upload_id, [(1, len(CONTENT))], expires_in=SIGNED_FOR
    )
    sent = await examination.browser.send("PUT", url, None, CONTENT)
    parts = await made.list_parts(upload_id)
    if not sent.ok or not parts:
        return sent.summary
    await made.complete_upload(upload_id, parts)
    del examination.unfinished[upload_id]
    again = await examination.browser.send("PUT", url, None, OTHER_CONTENT)
    await _try_copies(examination, key)
    other = await _begin(examination, key)
    await made.find_uploads()
    await made.abort_upload(other)
    del examination.unfinished[other]
    examination.abilities.multipart = not again.ok
    examination.findings.ok_or_fail(
        not again.ok,
        "multipart",
        "The store takes an upload in parts; when it is joined, its parts' URLs are dead.",
        "A part can be sent again after the parts were joined.",
        "Do not send in parts to this store: lower max_size to multipart_threshold.",
    )
    return None


async def _try_copies(examination: Examination, source: str) -> None:
    """Whether an unsigned x-amz-copy-source turns the URL of a part into a copy of an object."""
    destination = examination.destination
    copying = {"x-amz-copy-source": f"/{destination.bucket}/{source}"}
    made = []
    for size in (len(CONTENT), None) if destination.unsized_parts else (len(CONTENT),):
        key = examination.new_key()
        upload_id = await _begin(examination, key)
        [url], _ = await examination.signer.presign_parts(
            destination.address, key, upload_id, [(1, size)], expires_in=SIGNED_FOR
        )
        sent = await examination.browser.send("PUT", url, copying, CONTENT if size else b"")
        if sent.ok:
            made.append(size)
        await examination.object_at(key).abort_upload(upload_id)
        del examination.unfinished[upload_id]
    if not made:
        examination.findings.ok("part-copies", "The store makes no part a copy of another object.")
        return
    remedy = "Set the destination's unsized_parts = false: Uppy then sends in one piece alone."
    if made != [None]:
        remedy += " And set max_size no larger than multipart_threshold, with method = post."
    examination.findings.warn(
        "part-copies",
        "The store obeys an x-amz-copy-source that nobody signed: whoever may upload in parts can "
        "make one a copy of any object that the service may read, and read that.",
        remedy,
    )


async def _begin(examination: Examination, key: str) -> str:
    upload_id = await examination.object_at(key).create_upload(examination.headers("multipart"))
    examination.unfinished[upload_id] = key
    return upload_id


def _report_broken(examination: Examination, reason: str, remedy: str) -> None:
    examination.abilities.multipart = False
    destination, findings = examination.destination, examination.findings
    meaning = f"An upload in parts does not work: {reason}."
    if destination.method == "multipart" or destination.max_size > destination.multipart_threshold:
        findings.fail("multipart", meaning, remedy)
    else:
        findings.ok("multipart", f"{meaning} Files here are too small to need it.")
