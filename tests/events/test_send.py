"""One try of a webhook: where it goes, what it believes, how much it reads."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from app.events.send import MAX_ANSWER, Answer, open_client, post
from app.events.targets import objection
from app.settings.model import Settings, load_settings
from tests.events.authority import certify
from tests.support.receiver import Receiver, receiver

ENVIRON = {"CLAIMCHECK_AUTH": "none"}
HERE, ELSEWHERE = load_settings(ENVIRON), load_settings({"CLAIMCHECK_AUTH": "keys"})


class Names(AbstractResolver):
    """Gives these addresses for any name, one list after another; the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


async def tried(settings: Settings, url: str, names: Names | None = None) -> Answer:
    async with open_client(settings, names) as client:
        return await post(client, url, {}, b"{}")


def named(url: str, name: str) -> str:
    return url.replace("127.0.0.1", name)


@pytest.fixture
async def ear() -> AsyncIterator[Receiver]:
    async with receiver() as ear:
        yield ear


async def test_it_arrives(ear: Receiver) -> None:
    answer = await tried(HERE, ear.url)
    assert (answer.status, answer.error, len(ear.taken)) == (204, None, 1)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "[::1]", "[::ffff:7f00:1]"]
)
async def test_this_machine_is_refused_however_it_is_written(ear: Receiver, host: str) -> None:
    answer = await tried(ELSEWHERE, named(ear.url, host))
    assert answer.error is not None
    assert "CLAIMCHECK_WEBHOOK_NETWORKS" in answer.error or "not a canonical" in answer.error
    assert ear.asked == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"]
)
async def test_names_that_lead_there_are_refused(ear: Receiver, address: str) -> None:
    answer = await tried(ELSEWHERE, named(ear.url, "hooks.example.com"), Names([address]))
    assert answer.error is not None
    assert "CLAIMCHECK_WEBHOOK_NETWORKS" in answer.error
    assert ear.asked == 0


async def test_only_the_allowed_of_several_addresses_is_connected_to(ear: Receiver) -> None:
    settings = load_settings(ENVIRON | {"CLAIMCHECK_WEBHOOK_NETWORKS": "127.0.0.0/30"})
    names = Names(["10.0.0.1", "127.0.0.1"])
    answer = await tried(settings, named(ear.url, "hooks.example.com"), names)
    assert (answer.error, ear.asked) == (None, 1)


async def test_a_name_that_leads_elsewhere_the_second_time(ear: Receiver) -> None:
    """DNS rebinding: allowed when it is looked at first, this machine after that."""
    allowed = load_settings({"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_WEBHOOK_NETWORKS": "127.0.0.1"})
    names, url = Names(["127.0.0.1"], ["127.0.0.2"]), named(ear.url, "hooks.example.com")
    assert (await tried(allowed, url, names)).error is None
    second = await tried(allowed, url, names)
    assert second.error is not None
    assert "127.0.0.2" in second.error
    # Each try looks the name up once: what was checked is what was connected to.
    assert (names.asked, ear.asked) == (2, 1)


async def test_redirects_are_not_followed() -> None:
    async def elsewhere(request: web.Request, ear: Receiver) -> web.Response:
        return web.Response(status=307, headers={"Location": ear.url})

    async with receiver(elsewhere) as ear:
        answer = await tried(HERE, ear.url)
        assert (answer.status, ear.asked) == (307, 1)
        assert answer.error is not None


async def test_no_more_of_an_answer_is_read_than_one_keeps() -> None:
    written = 0

    async def endless(request: web.Request, ear: Receiver) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 65536)
            written += 65536
        return response

    async with receiver(endless) as ear:
        answer = await tried(HERE, ear.url)
    assert answer.status == 500
    # What the kernel's buffers take is written besides.
    assert written < 1000 * 65536 / 2
    assert MAX_ANSWER == 65536


async def test_a_refusal_tells_what_was_answered() -> None:
    async def refuse(request: web.Request, ear: Receiver) -> web.Response:
        return web.Response(status=503, text="not\0 now\n", headers={"Retry-After": "7"})

    async with receiver(refuse) as ear:
        answer = await tried(HERE, ear.url)
    assert (answer.status, answer.error) == (503, "It answered 503: not now")
    assert answer.retry_after == "7"


async def test_a_receiver_that_cuts_the_connection() -> None:
    async def cut(request: web.Request, ear: Receiver) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with receiver(cut) as ear:
        answer = await tried(HERE, ear.url)
    assert answer.status is None
    assert answer.error is not None


async def test_a_receiver_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.events.send.TRY_SECONDS", 0.2)

    async def sleep(request: web.Request, ear: Receiver) -> web.Response:
        await asyncio.sleep(600)
        return web.Response()

    async with receiver(sleep) as ear:
        answer = await tried(HERE, ear.url)
    assert (answer.status, answer.error) == (None, "It did not answer within 0.2 seconds.")


async def test_nobody_is_there(ear: Receiver) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        answer = await tried(HERE, f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert answer.error is not None
    assert answer.error.startswith("There was no connection")


async def test_certificates_are_those_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, tls = certify(tmp_path, "hooks.example.com")
    async with receiver(tls=tls) as ear:
        names, url = Names(["127.0.0.1"]), named(ear.url, "hooks.example.com")
        unknown = await tried(HERE, url, names)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert (await tried(HERE, url, names)).error is None
        other = await tried(HERE, named(ear.url, "other.example.com"), names)
    for refused in (unknown, other):
        assert refused.error is not None
        assert refused.error.startswith("Its TLS certificate")
    assert ear.asked == 1


@pytest.mark.parametrize(
    ("url", "here", "elsewhere"),
    [
        ("https://www.example.com/hooks", True, True),
        ("https://www.example.com:8443/a?b=c", True, True),
        ("http://www.example.com/", False, False),
        ("http://localhost:3000/hooks", True, False),
        ("http://[::1]:3000/hooks", True, False),
        ("https://127.0.0.1/", True, False),
        ("https://10.0.0.1/", False, False),
        ("https://[fd00::1]/", False, False),
        ("https://169.254.169.254/latest", False, False),
        ("https://ann:secret@www.example.com/", False, False),
        ("https://www.example.com/#x", False, False),
        ("ftp://www.example.com/", False, False),
        ("www.example.com", False, False),
        ("/hooks", False, False),
        ("https://", False, False),
        ("https://www.example.com:99999/", False, False),
        ("https://[::1/", False, False),
        ("https://www.example.com/" + "x" * 2048, False, False),
        ("https://www.example.com/\n", False, False),
    ],
)
def test_urls_that_are_taken(url: str, here: bool, elsewhere: bool) -> None:
    assert (objection(HERE, url) is None, objection(ELSEWHERE, url) is None) == (here, elsewhere)
