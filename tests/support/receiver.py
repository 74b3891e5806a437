"""A receiver of webhooks: a real HTTP server that verifies, keeps and answers as it is told."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

Answering = Callable[[web.Request, "Receiver"], Awaitable[web.StreamResponse]]


async def accept(_: web.Request, __: "Receiver") -> web.StreamResponse:
    return web.Response(status=204)


@dataclass
class Receiver:
    """`url` is where it is; `taken` holds the payloads that it has answered with 2xx, in order."""

    url: str
    answer: Answering = accept
    secret: str | None = None
    asked: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked += 1
        self.signatures.append(request.headers.get("webhook-signature", ""))
        self.verify(body, request.headers)
        answer = await self.answer(request, self)
        if 200 <= answer.status < 300:
            self.taken.append(json.loads(body))
            self.ids.append(request.headers.get("webhook-id", ""))
            self._news.set()
        return answer

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raises WebhookVerificationError. A sender whose clock is a test's own is believed its
        timestamp, which `standardwebhooks` compares with the real one.
        """
        if self.secret is None:
            return
        webhook, sent_at = Webhook(self.secret), int(headers["webhook-timestamp"])
        if abs(sent_at - time.time()) < 60:
            webhook.verify(body, dict(headers))
            return
        moment = datetime.fromtimestamp(sent_at, UTC)
        expected = webhook.sign(headers["webhook-id"], moment, body.decode())
        if expected not in headers["webhook-signature"].split():
            raise WebhookVerificationError("No matching signature found")

    async def has_taken(self, count: int) -> None:
        """Wait until so many are there. Whoever calls sees to it that they come."""
        while len(self.taken) < count:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def receiver(
    answer: Answering = accept, *, tls: ssl.SSLContext | None = None, path: str = "/hooks"
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine, until the end of the block."""
    found = Receiver("", answer)
    app = web.Application()
    app.router.add_post("/{rest:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        found.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"
        yield found
    finally:
        await runner.cleanup()
