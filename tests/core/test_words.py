"""Sizes and types as text."""

from app.core.words import in_kinds, in_time, two_sizes


def test_two_sizes_never_look_alike() -> None:
    assert two_sizes(101 << 20, 100 << 20) == ("101 MiB", "100 MiB")
    assert two_sizes((100 << 20) + 1, 100 << 20) == ("104,857,601 bytes", "104,857,600 bytes")
    assert two_sizes(1, 0) == ("1 byte", "0 bytes")


def test_durations_as_text() -> None:
    for seconds, text in (
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "90 seconds"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (604_800, "7 days"),
    ):
        assert in_time(seconds) == text


def test_types_as_text() -> None:
    types = ["image/*", "application/pdf", "image/svg+xml", "application/vnd.ms-excel", "*/*"]
    assert in_kinds(types) == "any image, PDF, SVG, application/vnd.ms-excel or any type"
    assert in_kinds(["text/plain"]) == "text/plain"
