"""What a browser is told: pages of ours may send and read, others may not, nor may strangers."""

from typing import Final

from app.core.bucket_setup import EXPOSED_HEADERS
from app.core.object_url import quote_key
from app.doctor.patient import FIRST, Patient
from app.doctor.remedies import APPLY
from app.doctor.visitor import Answer

_FOREIGN: Final = "https://claimcheck-doctor.invalid"


async def check_pages(patient: Patient, origins: list[str]) -> None:
    """Preflights from each origin, and what a page may read of the answer to a real upload."""
    if not origins:
        patient.findings.warn(
            "cors",
            "No page may send here: no origin is configured.",
            f"Set CLAIMCHECK_CORS_ORIGINS to the origins of your pages. {APPLY}",
        )
        return
    signed = await patient.signed_put(patient.new_key(), promise=b"")
    by_put = patient.destination.method == "put"
    # Parts of a large file are PUTs without headers of their own, whatever the method.
    questions = {"PUT": set(signed.headers) if by_put else set()}
    if patient.destination.method == "post":
        questions["POST"] = set()
    refused = []
    for origin in origins:
        for method, names in questions.items():
            answer = await _preflight(patient, signed.url, origin, method, names)
            if reason := _kept_away(answer, origin, method, names):
                refused.append(f"{method} from {origin} ({reason})")
    patient.findings.judge(
        not refused,
        "cors",
        f"Pages of {', '.join(origins)} may send here.",
        f"Browsers keep pages from sending here: {'; '.join(refused)}.",
        f"{APPLY} Where the store knows no CORS rules of a bucket, allow the origins and the "
        "headers where the store itself is configured.",
    )
    if not refused:
        await _check_exposed(patient, origins[0])
    foreign = await _preflight(patient, signed.url, _FOREIGN, "PUT", set())
    if foreign.headers.get("access-control-allow-origin") in {_FOREIGN, "*"}:
        patient.findings.warn(
            "cors-foreign",
            "Pages of any origin may send here and read what links serve, if they get hold of one.",
            "Take the rule with the origin * out of the bucket's CORS rules.",
        )


async def _preflight(
    patient: Patient, url: str, origin: str, method: str, names: set[str]
) -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    if names:
        # Sorted, in lower case, without blanks (Fetch, section 4.8).
        headers["Access-Control-Request-Headers"] = ",".join(sorted(names))
    return await patient.visitor.send("OPTIONS", url, headers)


def _kept_away(answer: Answer, origin: str, method: str, names: set[str]) -> str | None:
    """Why a browser would not send the request after this answer, None if it would."""
    if not answer.good or answer.headers.get("access-control-allow-origin") not in {origin, "*"}:
        return answer.said if not answer.good else "the origin is not allowed"
    if not answer.listed("access-control-allow-methods") & {"*", method.lower()}:
        return "the method is not allowed"
    allowed = answer.listed("access-control-allow-headers")
    missing = set() if "*" in allowed else names - allowed
    return f"headers not allowed: {', '.join(sorted(missing))}" if missing else None


async def _check_exposed(patient: Patient, origin: str) -> None:
    if patient.destination.method == "post":
        form = await patient.signed_form(patient.new_key())
        sent = await patient.visitor.post(form, FIRST, origin)
    else:
        signed = await patient.signed_put(patient.new_key())
        sent = await patient.visitor.put(signed, FIRST, Origin=origin)
    readable = sent.headers.get("access-control-allow-origin") in {origin, "*"}
    exposed = sent.listed("access-control-expose-headers")
    hidden = [n for n in EXPOSED_HEADERS if n.lower() not in exposed and "*" not in exposed]
    if not readable:
        patient.findings.fail("cors-answer", "A page cannot read the answer to its upload.", APPLY)
    elif "ETag" in hidden:
        patient.findings.fail(
            "cors-etag",
            "Pages cannot read ETag, without which Uppy and others cannot end a multipart upload.",
            f"{APPLY} It exposes {', '.join(EXPOSED_HEADERS)}.",
        )
    else:
        patient.findings.ok("cors-etag", "Pages may read the ETag of what they have sent.")


async def check_strangers(patient: Patient) -> None:
    """Whoever has no signature gets nothing and changes nothing."""
    key = patient.new_key()
    await patient.visitor.put(await patient.signed_put(key), FIRST)
    url = f"{patient.base_url}/{quote_key(key)}"
    new = f"{patient.base_url}/{quote_key(patient.new_key())}"
    tries = {
        "read a file": await patient.visitor.send("GET", url),
        "list the bucket": await patient.visitor.send("GET", patient.base_url),
        "write a file": await patient.visitor.send("PUT", new, None, FIRST),
        "delete a file": await patient.visitor.send("DELETE", url),
    }
    open_to_all = [what for what, answer in tries.items() if answer.good]
    patient.findings.judge(
        not open_to_all,
        "anonymous",
        "Whoever has no signature can neither read, list, write nor delete.",
        f"Anybody in the world can {', '.join(open_to_all)} without a signature.",
        f"{APPLY} Then delete every statement of the bucket policy that allows something to "
        '"Principal": "*".',
    )
