"""`claimcheck listen`: on a developer's machine, forward events as signed webhooks.

They come by the feed, so the service needs no way to this machine: no tunnel, no public address.
It is a client of the service like any other, and reads none of its settings.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from base64 import b64decode
from typing import Any, Final

import aiohttp

from app.commands.parser import Subparsers, add_command
from app.core.webhook_signature import SECRET_PREFIX, secret_text, signed_headers

_SERVICE: Final = "http://127.0.0.1:8000"
_WAIT: Final = 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=_WAIT + 30)
# As long as a webhook's receiver has to answer.
_RECEIVER_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_TRY_AGAIN: Final = 2


def add(commands: Subparsers) -> None:
    parser = add_command(
        commands,
        "listen",
        _listen,
        "forward events to a receiver on this machine, as signed webhooks",
        status="It reads the feed of CLAIMCHECK_URL (http://127.0.0.1:8000) with the API key "
        "CLAIMCHECK_KEY, which needs the scope events:read; `make run` needs no key. It signs with "
        "WEBHOOK_SECRET, or a new secret, and prints that. Ctrl-C ends it",
    )
    parser.add_argument("--forward-to", required=True, metavar="URL", help="the receiver")
    parser.add_argument("--types", metavar="A,B", help="these types of events alone")


def _listen(options: argparse.Namespace) -> None:
    text = os.environ.get("WEBHOOK_SECRET") or secret_text(os.urandom(24))
    try:
        secret = b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        sys.exit(f"WEBHOOK_SECRET must be {SECRET_PREFIX} and Base64, as receivers take it.")
    service = os.environ.get("CLAIMCHECK_URL", _SERVICE).rstrip("/")
    _say(f"Events of {service} go to {options.forward_to}, signed with")
    _say(f"WEBHOOK_SECRET={text}")
    asyncio.run(_forward_all(service, options.forward_to, options.types, secret))


async def _forward_all(service: str, receiver: str, types: str | None, secret: bytes) -> None:
    key = os.environ.get("CLAIMCHECK_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    narrowed = {} if types is None else {"types": types}
    async with (
        aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as feed,
        aiohttp.ClientSession(timeout=_RECEIVER_TIMEOUT) as web,
    ):
        after, wait = "latest", 0
        while True:
            page = await _read(feed, service, narrowed | {"after": after, "wait": str(wait)})
            if page is None:  # what comes next is not there any more
                after, wait = "latest", 0
                continue
            if after == "latest":
                _say("Ready.")
            for event in page["items"]:
                await _forward(web, receiver, event, secret)
            after, wait = page["cursor"], _WAIT


async def _read(
    feed: aiohttp.ClientSession, service: str, asked: dict[str, str]
) -> dict[str, Any] | None:
    """A page of the feed, however long the service is away; None where the cursor has expired."""
    while True:
        try:
            async with feed.get(f"{service}/v1/events", params=asked) as answer:
                body = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            said = f"{error}" or type(error).__name__
        else:
            if answer.ok:
                return dict(body)
            if answer.status == 410:
                return None
            said = f"{body.get('detail', answer.status)}"
            if answer.status < 500 and answer.status != 429:
                sys.exit(f"{service} refuses: {said}")
        _say(f"The feed of {service} cannot be read, trying again: {said}")
        await asyncio.sleep(_TRY_AGAIN)


async def _forward(
    web: aiohttp.ClientSession, receiver: str, event: dict[str, Any], secret: bytes
) -> None:
    """Send the event until somebody answers, so that a receiver may be started anew."""
    members = {"type": event["type"], "timestamp": event["created_at"], "data": event["data"]}
    body = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
    while True:
        headers = signed_headers([secret], event["id"], int(time.time()), body)
        headers["content-type"] = "application/json"
        try:
            async with web.post(
                receiver, data=body, headers=headers, allow_redirects=False
            ) as answer:
                _say(f"{event['type']} {event['id']}: {answer.status}")
                return
        except (aiohttp.ClientError, TimeoutError) as error:
            _say(f"{receiver} does not answer, trying again: {error or type(error).__name__}")
        await asyncio.sleep(_TRY_AGAIN)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
