"""Uploads by form and by PUT: valid ones are stored, tampered ones are refused."""

from app.doctor.browser import Answer
from app.doctor.examination import CONTENT, LONGER_CONTENT, Examination
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
    key = form_key if examination.destination.method == "post" else put_key
    if key is None:
        return
    await check_stored(examination, key)
    await check_checksums(examination)
    await check_links(examination, key)
    await check_sealing(examination, put_key)
    await check_age(examination, key)


async def _check_form(examination: Examination) -> str | None:
    """Upload by form, and try tampered forms; the key of the object, None if none was stored."""
    wanted = examination.destination.method == "post"
    key = examination.new_key()
    sent = await examination.browser.post(
        await examination.signed_form(key), CONTENT, examination.origin
    )
    examination.abilities.forms = _ability(sent)
    if not sent.ok:
        if wanted:
            _report_refused(examination, "post", "form", sent)
        else:
            examination.findings.ok(
                "post", f"The store takes no form ({sent.summary}): none is needed."
            )
        return None
    examination.findings.ok("post", "The store takes a signed form.")
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
    _report_attempts(examination, "post-enforced", "form", tries, wanted=wanted)
    return key


async def _check_put(examination: Examination) -> str | None:
    """Upload by PUT, and try tampered PUTs; the key of the object, None if none was stored."""
    wanted = examination.destination.method == "put"
    key = examination.new_key()
    signed = await examination.signed_put(key)
    origin = {"Origin": examination.origin} if examination.origin else {}
    sent = await examination.browser.put(signed, CONTENT, **origin)
    examination.abilities.puts = _ability(sent)
    if not sent.ok:
        if wanted:
            _report_refused(examination, "put", "PUT", sent)
        else:
            examination.findings.ok(
                "put", f"The store takes no PUT ({sent.summary}): none is needed."
            )
        return None
    examination.findings.ok("put", "The store takes a signed PUT.")
    other = await examination.signed_put(examination.new_key())
    tries = {
        "a longer file": await examination.browser.put(other, LONGER_CONTENT),
        "another type": await examination.browser.put(other, CONTENT, content_type="text/html"),
        "a forged signature": await examination.browser.send("PUT", other.url[:-1], other.headers),
    }
    _report_attempts(examination, "put-enforced", "PUT", tries, wanted=wanted)
    added = await examination.browser.put(
        await examination.signed_put(examination.new_key()), CONTENT, x_amz_meta_unsigned="1"
    )
    examination.abilities.signed_headers_only = not added.ok
    copied = await examination.browser.put(
        await examination.signed_put(examination.new_key()),
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


def _ability(answer: Answer) -> bool | None:
    """Whether the store has the feature; None if it did not answer or denied access."""
    return True if answer.ok else None if answer.status in {0, 403} else False


def _report_refused(examination: Examination, check: str, what: str, answer: Answer) -> None:
    examination.findings.fail(
        check,
        f"The store does not take a signed {what}: {answer.summary}.",
        _instead(what, answer),
    )


def _instead(what: str, answer: Answer) -> str:
    if what == "form" and answer.status != 403:
        return "The store has no POST Object, it seems: set the destination's method = put."
    return remedy_for(answer.summary, "s3:PutObject")


def _report_attempts(
    examination: Examination, check: str, what: str, tries: dict[str, Answer], *, wanted: bool
) -> None:
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
