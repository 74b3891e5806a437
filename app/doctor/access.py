"""Access from browsers: CORS for the configured origins and no others, and no unsigned access."""

from typing import Final

from app.core.bucket_setup import EXPOSED_HEADERS, RANGE_HEADERS
from app.core.object_url import quote_key
from app.doctor.browser import Answer
from app.doctor.examination import CONTENT, Examination
from app.doctor.remedies import APPLY

# Origins that nobody has configured, and what their pages would do. `null` is that of a sandboxed
# frame, which any site can make.
_FOREIGN: Final = (
    ("https://claimcheck-doctor.invalid", "PUT"),
    ("https://claimcheck-doctor.invalid", "GET"),
    ("http://claimcheck-doctor.invalid", "PUT"),
    ("null", "PUT"),
)


async def check_cors(examination: Examination, origins: list[str]) -> None:
    """Send a preflight from each origin and from a foreign one; see what pages can read of an
    upload's answer.
    """
    if not origins:
        examination.findings.warn(
            "cors",
            "No page may send here: no origin is configured.",
            f"Set CLAIMCHECK_CORS_ORIGINS to the origins of your pages. {APPLY}",
        )
        return
    signed = await examination.signed_put(examination.new_key(), checksum_of=b"")
    by_put = examination.destination.method == "put"
    # Each as a browser would send it: forms go to the bucket's own URL, and parts of a large file
    # are PUTs without headers of their own, whatever the method.
    names_of_put = set(signed.headers) if by_put else set[str]()
    if examination.destination.integrity == "md5":
        names_of_put.add("content-md5")
    questions = [("PUT", signed.url, names_of_put)]
    if examination.destination.method == "post":
        form = await examination.signed_form(examination.new_key())
        questions.append(("POST", form.url, set()))
    refused = []
    for origin in origins:
        for method, url, names in questions:
            answer = await _preflight(examination, url, origin, method, names)
            if reason := _refusal_reason(answer, origin, method, names):
                refused.append(f"{method} from {origin} ({reason})")
    examination.findings.ok_or_fail(
        not refused,
        "cors",
        f"Pages of {', '.join(origins)} may send here.",
        f"Browsers keep pages from sending here: {'; '.join(refused)}.",
        f"{APPLY} Where the store knows no CORS rules of a bucket, allow the origins and the "
        "headers where the store itself is configured.",
    )
    if not refused:
        await _check_exposed(examination, origins[0])
    await _check_foreign(examination, signed.url)


async def _check_foreign(examination: Examination, url: str) -> None:
    """Send preflights as pages would whose origin is not configured."""
    for origin, method in _FOREIGN:
        answer = await _preflight(examination, url, origin, method, set())
        if _refusal_reason(answer, origin, method, set()) is None:
            allowed = answer.headers["access-control-allow-origin"]
            examination.findings.fail(
                "cors-foreign",
                f"The bucket lets pages of any origin in, of {origin} say ({method} is answered "
                f"with {allowed}): they may send here, or read what links serve, if they get hold "
                "of one.",
                "Take the rule whose origin is * or has one in it out of the bucket's CORS rules; "
                "a store that knows no rules of a bucket is told its origins where it is started.",
            )
            return


async def _preflight(
    examination: Examination, url: str, origin: str, method: str, names: set[str]
) -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    if names:
        # Sorted, in lower case, without blanks (Fetch, section 4.8).
        headers["Access-Control-Request-Headers"] = ",".join(sorted(names))
    return await examination.browser.send("OPTIONS", url, headers)


def _refusal_reason(answer: Answer, origin: str, method: str, names: set[str]) -> str | None:
    """Why a browser would not send the request after this preflight (Fetch, section 4.8); None if
    it would.
    """
    if not answer.ok or answer.headers.get("access-control-allow-origin") not in {origin, "*"}:
        return answer.summary if not answer.ok else "the origin is not allowed"
    if not answer.elements("access-control-allow-methods") & {"*", method.lower()}:
        return "the method is not allowed"
    allowed = answer.elements("access-control-allow-headers")
    missing = set() if "*" in allowed else names - allowed
    return f"headers not allowed: {', '.join(sorted(missing))}" if missing else None


async def _check_exposed(examination: Examination, origin: str) -> None:
    """Upload as a page of that origin, and see which headers of the answer it could read."""
    if examination.destination.method == "post":
        form = await examination.signed_form(examination.new_key())
        sent = await examination.browser.post(form, CONTENT, origin)
    else:
        signed = await examination.signed_put(examination.new_key())
        sent = await examination.browser.put(signed, CONTENT, Origin=origin)
    readable = sent.headers.get("access-control-allow-origin") in {origin, "*"}
    exposed = sent.elements("access-control-expose-headers")
    hidden = [n for n in EXPOSED_HEADERS if n.lower() not in exposed and "*" not in exposed]
    if not readable:
        examination.findings.fail(
            "cors-answer", "A page cannot read the answer to its upload.", APPLY
        )
    elif "ETag" in hidden:
        examination.findings.fail(
            "cors-etag",
            "Pages cannot read ETag, without which Uppy and others cannot end a multipart upload.",
            f"{APPLY} It exposes {', '.join(EXPOSED_HEADERS)}.",
        )
    else:
        examination.findings.ok("cors-etag", "Pages may read the ETag of what they have sent.")
    if readable:
        examination.findings.ok_or_warn(
            not set(RANGE_HEADERS) & set(hidden),
            "cors-ranges",
            "Pages may read a file by ranges.",
            f"Pages cannot read {', '.join(hidden)}: what reads a file by ranges there, as PDF "
            "viewers do, fails or fetches all of it.",
            f"{APPLY} It exposes {', '.join(EXPOSED_HEADERS)}.",
        )


async def check_anonymous(examination: Examination) -> None:
    """Send a GET, a list, a PUT and a DELETE without a signature; all must be refused."""
    key = examination.new_key()
    await examination.browser.put(await examination.signed_put(key), CONTENT)
    url = f"{examination.base_url}/{quote_key(key)}"
    new = f"{examination.base_url}/{quote_key(examination.new_key())}"
    tries = {
        "read a file": await examination.browser.send("GET", url),
        "list the bucket": await examination.browser.send("GET", examination.base_url),
        "write a file": await examination.browser.send("PUT", new, None, CONTENT),
        "delete a file": await examination.browser.send("DELETE", url),
    }
    open_to_all = [what for what, answer in tries.items() if answer.ok]
    examination.findings.ok_or_fail(
        not open_to_all,
        "anonymous",
        "Whoever has no signature can neither read, list, write nor delete.",
        f"Anybody in the world can {', '.join(open_to_all)} without a signature.",
        f"{APPLY} Then delete every statement of the bucket policy that allows something to "
        '"Principal": "*".',
    )
