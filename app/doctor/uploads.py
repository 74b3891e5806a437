"""Forms and PUTs: what a client may send, and what it must not."""

from app.doctor.keeping import (
    check_age,
    check_checksums,
    check_links,
    check_missing,
    check_sealing,
    check_stored,
)
from app.doctor.multipart import check_multipart
from app.doctor.patient import FIRST, LONGER, Patient
from app.doctor.remedies import remedy_for
from app.doctor.visitor import Answer


async def check_public_endpoint(patient: Patient) -> bool:
    """Whether anything at all answers where browsers are sent."""
    answer = await patient.visitor.send("GET", patient.base_url)
    if not answer.status:
        origin = patient.destination.address.origin
        patient.findings.fail(
            "public-endpoint",
            f"Browsers are sent to {origin}, and from here there is {answer.said}.",
            "Correct AWS_S3_PUBLIC_ENDPOINT_URL. If browsers do reach it, run the doctor where it "
            "can be reached, too.",
        )
    return bool(answer.status)


async def check_uploads(patient: Patient) -> None:
    """Send, look, read, send again: in the destination's own way, and in the others."""
    form_key = await _check_form(patient)
    put_key = await _check_put(patient)
    await check_missing(patient)
    await check_multipart(patient)
    key = form_key if patient.destination.method == "post" else put_key
    if key is None:
        return
    await check_stored(patient, key)
    await check_checksums(patient)
    await check_links(patient, key)
    await check_sealing(patient, put_key)
    await check_age(patient, key)


async def _check_form(patient: Patient) -> str | None:
    """POST; the key of what it stored."""
    wanted = patient.destination.method == "post"
    key = patient.new_key()
    sent = await patient.visitor.post(await patient.signed_form(key), FIRST, patient.origin)
    patient.abilities.forms = _ability(sent)
    if not sent.good:
        if wanted:
            _say_refused(patient, "post", "form", sent)
        else:
            patient.findings.ok("post", f"The store takes no form ({sent.said}): none is needed.")
        return None
    patient.findings.ok("post", "The store takes a signed form.")
    tampered = patient.new_key()
    form = await patient.signed_form(tampered)
    tries = {
        "a longer file": await patient.visitor.post(form, LONGER),
        "another type": await patient.visitor.post(form, FIRST, content_type="text/html"),
        "another key": await patient.visitor.post(form, FIRST, key=patient.new_key()),
        "a forged signature": await patient.visitor.post(form, FIRST, x_amz_signature="0" * 64),
    }
    _judge_tries(patient, "post-enforced", "form", tries, wanted=wanted)
    return key


async def _check_put(patient: Patient) -> str | None:
    """PUT; the key of what it stored."""
    wanted = patient.destination.method == "put"
    key = patient.new_key()
    signed = await patient.signed_put(key)
    origin = {"Origin": patient.origin} if patient.origin else {}
    sent = await patient.visitor.put(signed, FIRST, **origin)
    patient.abilities.puts = _ability(sent)
    if not sent.good:
        if wanted:
            _say_refused(patient, "put", "PUT", sent)
        else:
            patient.findings.ok("put", f"The store takes no PUT ({sent.said}): none is needed.")
        return None
    patient.findings.ok("put", "The store takes a signed PUT.")
    other = await patient.signed_put(patient.new_key())
    tries = {
        "a longer file": await patient.visitor.put(other, LONGER),
        "another type": await patient.visitor.put(other, FIRST, content_type="text/html"),
        "a forged signature": await patient.visitor.send("PUT", other.url[:-1], other.headers),
    }
    _judge_tries(patient, "put-enforced", "PUT", tries, wanted=wanted)
    added = await patient.visitor.put(
        await patient.signed_put(patient.new_key()), FIRST, x_amz_meta_unsigned="1"
    )
    patient.abilities.signed_headers_only = not added.good
    copied = await patient.visitor.put(
        await patient.signed_put(patient.new_key()),
        FIRST,
        x_amz_copy_source=f"/{patient.destination.bucket}/{key}",
    )
    if copied.good and wanted:
        patient.findings.warn(
            "put-headers",
            "The store obeys an x-amz-copy-source that nobody signed: whoever may upload can make "
            "a copy of any object that the service may read, and read that.",
            "Run `claimcheck bucket apply`, which forbids it by the bucket's policy on Ceph, or "
            "set the destination's method = post if the store takes forms, which are tight.",
        )
    elif added.good and wanted:
        patient.findings.ok(
            "put-headers",
            "The store obeys x-amz-* headers that nobody signed, and makes no copies by them.",
        )
    return key


def _ability(answer: Answer) -> bool | None:
    """Whether the store can do it at all; a lack of rights says nothing of that."""
    return True if answer.good else None if answer.status in {0, 403} else False


def _say_refused(patient: Patient, check: str, what: str, answer: Answer) -> None:
    patient.findings.fail(
        check,
        f"The store does not take a signed {what}: {answer.said}.",
        _instead(what, answer),
    )


def _instead(what: str, answer: Answer) -> str:
    if what == "form" and answer.status != 403:
        return "The store has no POST Object, it seems: set the destination's method = put."
    return remedy_for(answer.said, "s3:PutObject")


def _judge_tries(
    patient: Patient, check: str, what: str, tries: dict[str, Answer], *, wanted: bool
) -> None:
    let_in = [name for name, answer in tries.items() if answer.good]
    meaning = f"The store takes a {what} with {' and with '.join(let_in)} for a signed one."
    if not let_in:
        patient.findings.ok(check, f"The store refuses a {what} that is not as it was signed.")
    elif wanted:
        patient.findings.fail(
            check, meaning, "Whoever holds an upload may send anything: do not use this store so."
        )
    else:
        patient.findings.warn(check, meaning, "Do not use this method here.")
