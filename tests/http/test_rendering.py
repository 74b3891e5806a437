"""Answers as JSON."""

import asyncio
from datetime import UTC, datetime

import pytest
from pydantic_core import from_json, to_json
from starlette.types import Message

from app.files.links import Link
from app.http.rendering import json_response, long_json_response, signed
from app.http.upload_bodies import UploadBody, upload_json
from app.models.files import State
from tests.support.rows import new_file

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("moment", [NOON, NOON.replace(microsecond=120_000)])
def test_the_end_of_a_link_is_written_as_other_moments_are(moment: datetime) -> None:
    body = signed(Link("https://bucket/a.png", moment))
    assert from_json(to_json(body))["presigned_url_expires_at"] == from_json(to_json(moment))


def test_an_upload_is_written_as_its_model_is() -> None:
    file = new_file(State.PENDING)
    body = UploadBody.model_validate(file, from_attributes=True)
    assert from_json(to_json(upload_json(file))) == from_json(to_json(body))
    assert [*upload_json(file)] == [*UploadBody.model_fields]


def test_an_answer_says_its_length_and_type_and_what_it_is_given() -> None:
    answer = json_response({"name": "é"}, {"Location": "/v1/é"}, 201)
    assert answer.status_code == 201
    assert answer.body == b'{"name":"\xc3\xa9"}'
    assert sorted(answer.raw_headers) == [
        (b"content-length", b"13"),
        (b"content-type", b"application/json"),
        (b"location", b"/v1/\xe9"),
    ]


async def test_a_long_answer_is_sent_in_pieces() -> None:
    items = [{"name": "é" * 50, "number": number} for number in range(5000)]
    answer = await long_json_response(
        {"items": items, "none": [], "more": iter([1]), "cursor": "x"}
    )
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await answer({"type": "http"}, _nothing, send)
    start, *pieces = sent
    body = b"".join(piece["body"] for piece in pieces)
    assert from_json(body) == {"items": items, "none": [], "more": [1], "cursor": "x"}
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body)
    assert all(256 * 1024 <= len(piece["body"]) < 257 * 1024 for piece in pieces[:-1])
    assert [piece.get("more_body", False) for piece in pieces] == [True] * 2 + [False]


async def test_others_have_their_turn_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.turns.SECONDS", -1.0)
    answer = await long_json_response({"items": ["a" * 300_000] * 2})
    seen: list[str] = []

    async def send(message: Message) -> None:
        seen.append("piece" if message.get("body") else "start")

    async def other() -> None:
        seen.append("other")

    task = asyncio.create_task(other())
    await answer({"type": "http"}, _nothing, send)
    await task
    assert seen == ["start", "piece", "other", "piece", "piece"]


@pytest.mark.parametrize("content", [{}, {"items": []}, {"items": [], "missing": ["a"]}])
async def test_a_short_answer_is_sent_as_it_is(content: dict[str, list[str]]) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await (await long_json_response(content))({"type": "http"}, _nothing, send)
    [_, body] = sent
    assert from_json(body["body"]) == content


async def _nothing() -> Message:
    raise AssertionError("an answer reads no request")
