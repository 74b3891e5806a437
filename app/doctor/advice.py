"""Which settings suit a store best, from what it was found able to do."""

from app.core.bucket_setup import StoreKind
from app.core.destination import Destination, Method
from app.doctor.findings import Abilities, Advice, Findings


def advise(
    destination: Destination, kind: StoreKind, abilities: Abilities, *, has_versions: bool
) -> Advice:
    """The settings to change in the environment; none where all is well.

    `has_versions`: the store could keep versions, whether or not the bucket does.
    """
    prefix = f"CLAIMCHECK_DESTINATIONS__{destination.name.upper()}__"
    settings: dict[str, str] = {}
    method = _best_method(destination, abilities, has_versions=has_versions)
    if method != destination.method:
        settings[f"{prefix}METHOD"] = method
    proven = bool(abilities.conditional_writes) and abilities.versions is False
    if method == destination.method == "put" and proven != destination.conditional_writes:
        settings[f"{prefix}CONDITIONAL_WRITES"] = str(proven).lower()
    return Advice(kind.value, abilities, settings)


def _best_method(destination: Destination, abilities: Abilities, *, has_versions: bool) -> Method:
    """The configured method, unless it does not work, checks less than another, or does not seal.

    A method seals if the bytes of a confirmed file cannot be replaced while an upload is valid.
    """
    usable: dict[Method, bool | None] = {
        "post": abilities.forms,
        "put": abilities.puts,
        "multipart": abilities.multipart,
    }
    method = destination.method
    if (
        not has_versions
        and usable["multipart"]
        and not (method == "put" and abilities.conditional_writes)
    ):
        return "multipart"
    if usable[method] is False:
        return next((other for other, works in usable.items() if works), method)
    # A policy names every field of its form; some stores obey unsigned headers of a PUT.
    if method == "put" and usable["post"] and abilities.signed_headers_only is False:
        return "post"
    return method


def report_advice(findings: Findings, advice: Advice) -> None:
    """Add the advice to the findings."""
    findings.ok_or_warn(
        not advice.settings,
        "advice",
        "The destination's settings suit the store.",
        "Another way of sending suits this store better.",
        "Set " + ", ".join(f"{name}={value}" for name, value in advice.settings.items()) + ".",
    )
