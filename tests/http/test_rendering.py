"""Answers as JSON."""

from datetime import UTC, datetime

import pytest
from pydantic_core import from_json, to_json

from app.files.links import Link
from app.http.rendering import json_response, signed

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("moment", [NOON, NOON.replace(microsecond=120_000)])
def test_the_end_of_a_link_is_written_as_other_moments_are(moment: datetime) -> None:
    body = signed(Link("https://bucket/a.png", moment))
    assert from_json(to_json(body))["presigned_url_expires_at"] == from_json(to_json(moment))


def test_an_answer_says_its_length_and_type_and_what_it_is_given() -> None:
    answer = json_response({"name": "é"}, {"Location": "/v1/é"}, 201)
    assert answer.status_code == 201
    assert answer.body == b'{"name":"\xc3\xa9"}'
    assert sorted(answer.raw_headers) == [
        (b"content-length", b"13"),
        (b"content-type", b"application/json"),
        (b"location", b"/v1/\xe9"),
    ]
