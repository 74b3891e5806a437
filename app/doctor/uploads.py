"""Uploads by form and by PUT: valid ones are stored, tampered ones are refused."""

from app.doctor.browser import Answer
from app.doctor.examination import CONTENT, LONGER_CONTENT, OTHER_CONTENT, Examination
from app.doctor.integrity import check_integrity
from app.doctor.multipart import check_multipart
from app.doctor.objects import (
    check_age,
    check_checksums,
    check_links,
    check_missing,
    check_sealing,
    check_stored,
)
from app.doctor.remedies import remedy_for


async def check_public_endpoint(examination: Examination) -> bool:
    """Whether anything answers HTTP at the address that browsers are sent to."""
    answer = await examination.browser.send("GET", examination.base_url)
    if not answer.status:
        origin = examination.destination.address.origin
        examination.findings.fail(
            "public-endpoint",
            f"Browsers are sent to {origin}, and from here there is {answer.summary}.",
            "Correct AWS_S3_PUBLIC_ENDPOINT_URL. If browsers do reach it, run the doctor where it "
            "can be reached, too.",
        )
    return bool(answer.status)


async def check_uploads(examination: Examination) -> None:
    """Check all three methods of uploading, and what becomes of the objects that were stored."""
    form_key = await _check_form(examination)
    put_key = await _check_put(examination)
    await check_missing(examination)
    await check_multipart(examination)
    await check_integrity(examination)
    key = form_key if examination.destination.method == "post" else put_key
    if key is None:
        return
    await check_stored(examination, key)
    await check_checksums(examination)
    await check_links(examination, key)
    await check_sealing(examination)
    await check_age(examination, key)


async def _check_form(examination: Examination) -> str | None:
    """Upload by form, and try tampered forms; the key of the object, None if none was stored."""
    wanted = examination.destination.method == "post"
    key = examination.new_key()
    sent = await examination.browser.post(
        await examination.signed_form(key), CONTENT, examination.origin
    )
    examination.abilities.forms = _report_first(examination, "post", "form", sent, wanted=wanted)
    if not sent.ok:
        return None
    tampered = examination.new_key()
    form = await examination.signed_form(tampered)
    tries = {
        "a longer file": await examination.browser.post(form, LONGER_CONTENT),
        "another type": await examination.browser.post(form, CONTENT, content_type="text/html"),
        "another key": await examination.browser.post(form, CONTENT, key=examination.new_key()),
        "a forged signature": await examination.browser.post(
            form, CONTENT, x_amz_signature="0" * 64
        ),
    }
    examination.abilities.forms_enforced = _report_attempts(
        examination, "post-enforced", "form", tries, wanted=wanted
    )
    return key


async def _check_put(examination: Examination) -> str | None:
    """Upload by PUT, and try tampered PUTs; the key of the object, None if none was stored."""
    wanted = examination.destination.method == "put"
    key = examination.new_key()
    signed = await examination.signed_put(key, if_absent=False)
    origin = {"Origin": examination.origin} if examination.origin else {}
    sent = await examination.browser.put(signed, CONTENT, **origin)
    examination.abilities.puts = _report_first(examination, "put", "PUT", sent, wanted=wanted)
    if not sent.ok:
        return None
    await _check_condition(examination)
    other = await examination.signed_put(examination.new_key(), if_absent=False)
    tries = {
        "a longer file": await examination.browser.put(other, LONGER_CONTENT),
        "another type": await examination.browser.put(other, CONTENT, content_type="text/html"),
        "a forged signature": await examination.browser.send("PUT", other.url[:-1], other.headers),
    }
    examination.abilities.puts_enforced = _report_attempts(
        examination, "put-enforced", "PUT", tries, wanted=wanted
    )
    plain = await examination.signed_put(examination.new_key(), if_absent=False)
    added = await examination.browser.put(plain, CONTENT, x_amz_meta_unsigned="1")
    examination.abilities.signed_headers_only = not added.ok
    copied = await examination.browser.put(
        await examination.signed_put(examination.new_key(), if_absent=False),
        CONTENT,
        x_amz_copy_source=f"/{examination.destination.bucket}/{key}",
    )
    if copied.ok and wanted:
        examination.findings.warn(
            "put-headers",
            "The store obeys an x-amz-copy-source that nobody signed: whoever may upload can make "
            "a copy of any object that the service may read, and read that.",
            "Run `claimcheck bucket apply`, which forbids it by the bucket's policy on Ceph, or "
            "set the destination's method = post if the store takes forms, which are tight.",
        )
    elif added.ok and wanted:
        examination.findings.ok(
            "put-headers",
            "The store obeys x-amz-* headers that nobody signed, and makes no copies by them.",
        )
    return key


async def _check_condition(examination: Examination) -> None:
    """Send a PUT with `If-None-Match: *` to a new key, and again."""
    browser, wanted = examination.browser, examination.destination
    signed = await examination.signed_put(examination.new_key(), if_absent=True)
    first = await browser.put(signed, CONTENT)
    again = await browser.put(signed, OTHER_CONTENT)
    examination.abilities.conditional_writes = first.ok and again.status == 412
    if not first.ok and wanted.method == "put" and wanted.conditional_writes:
        examination.findings.fail(
            "put",
            f"The store takes no PUT with If-None-Match: * ({first.summary}), which the "
            "destination's conditional_writes has signed.",
            "Set the destination's conditional_writes = false.",
        )


def _report_first(
    examination: Examination, check: str, what: str, answer: Answer, *, wanted: bool
) -> bool | None:
    """Report the answer to the first upload of a kind. Returns whether the store takes uploads of
    that kind; None if it did not answer or denied access.
    """
    if answer.ok:
        examination.findings.ok(check, f"The store takes a signed {what}.")
        return True
    if wanted:
        remedy = remedy_for(answer.summary, "s3:PutObject")
        if what == "form" and answer.status != 403:
            remedy = (
                "The store has no POST Object, it seems: set the destination's method = put, or as "
                "`advice` says."
            )
        meaning = f"The store does not take a signed {what}: {answer.summary}."
        examination.findings.fail(check, meaning, remedy)
    else:
        meaning = f"The store takes no {what} ({answer.summary}): none is needed."
        examination.findings.ok(check, meaning)
    return None if answer.status in {0, 403} else False


def _report_attempts(
    examination: Examination, check: str, what: str, tries: dict[str, Answer], *, wanted: bool
) -> bool:
    """Report whether all attempts were refused; returns that."""
    let_in = [name for name, answer in tries.items() if answer.ok]
    meaning = f"The store takes a {what} with {' and with '.join(let_in)} for a signed one."
    if not let_in:
        examination.findings.ok(check, f"The store refuses a {what} that is not as it was signed.")
    elif wanted:
        examination.findings.fail(
            check, meaning, "Whoever holds an upload may send anything: do not use this store so."
        )
    else:
        examination.findings.warn(check, meaning, "Do not use this method here.")
    return not let_in
