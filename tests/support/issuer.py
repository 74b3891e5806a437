"""An issuer of JSON Web Tokens: it signs them, and serves its public keys on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

AUDIENCE = "claimcheck"


@cache
def rsa_key(kid: str) -> RSAKey:
    """The key pair of that id, made once."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


class Issuer:
    """It serves `keys`, with `status`, or else `body`, as soon as `gate` is open."""

    def __init__(self) -> None:
        self.keys = ["one"]
        self.status = 200
        self.body: bytes | None = None
        self.fetches = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks.json"

    def environ(self, **changes: str) -> dict[str, str]:
        return {
            "CLAIMCHECK_AUTH": "jwt,keys",
            "CLAIMCHECK_JWT__ISSUER": self.url,
            "CLAIMCHECK_JWT__AUDIENCE": AUDIENCE,
            "CLAIMCHECK_JWT__JWKS_URL": self.jwks_url,
            **changes,
        }

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token, but for the changes; None takes one out."""
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": int(time.time()) + 600,
            "scope": "uploads:write files:read files:delete",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, kid: str | None = "one", **changes: Any) -> str:
        """A token signed with that key; `kid` None leaves the name of the key out."""
        header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
        return jwt.encode(header, self.claims(**changes), rsa_key(kid or "one"))

    def bearer(self, **changes: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**changes)}"}

    async def serve(self, request: web.Request) -> web.Response:
        self.fetches += 1
        self.asked.set()
        await self.gate.wait()
        if self.body is not None:
            return web.Response(body=self.body, status=self.status)
        keys = [rsa_key(kid).as_dict(private=False) for kid in self.keys]
        return web.json_response({"keys": keys}, status=self.status)


async def moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/jwks.json")


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.serve)
    app.router.add_get("/moved", moved)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    issuer.url = f"http://{host}:{port}"
    try:
        yield issuer
    finally:
        issuer.gate.set()
        await runner.cleanup()
