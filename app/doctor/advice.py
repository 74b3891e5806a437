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
    if method == "put":
        found, claimed = abilities.conditional_writes, destination.conditional_writes
        if claimed and found is not None and not _is_conditional(abilities):
            settings[f"{prefix}CONDITIONAL_WRITES"] = "false"
        # Where versions seal, nothing is gained.
        elif not claimed and abilities.versions is False and _is_conditional(abilities):
            settings[f"{prefix}CONDITIONAL_WRITES"] = "true"
    return Advice(kind.value, abilities, settings)


def _is_conditional(abilities: Abilities) -> bool:
    """Whether a PUT that may only create does nothing else: a header that nobody signed would make
    it a copy, which asks for no condition.
    """
    return bool(abilities.conditional_writes) and abilities.signed_headers_only is not False


def _best_method(destination: Destination, abilities: Abilities, *, has_versions: bool) -> Method:
    """The configured method, unless it does not work, checks less than another, or does not seal.

    A method seals if the bytes of a confirmed file cannot be replaced while an upload is valid.
    """
    usable: dict[Method, bool | None] = {
        # One that takes what was not signed so is no better than none.
        "post": False if abilities.forms_enforced is False else abilities.forms,
        "put": False if abilities.puts_enforced is False else abilities.puts,
        "multipart": abilities.multipart,
    }
    method = destination.method
    if (
        not has_versions
        and usable["multipart"]
        and not (method == "put" and usable["put"] and _is_conditional(abilities))
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
