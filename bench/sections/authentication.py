"""Announce by callers that say who they are, beside `auth = none`."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from bench.sections.uploads import announcing
from bench.stack import Stack

# Callers at the same time, each with a token of their own: each is verified once a run.
CALLERS: Final = 500
_AUDIENCE: Final = "claimcheck"


def announce(stack: Stack) -> None:
    """An announcement without authentication, and with an RS256 JWT in each request."""
    key = RSAKey.generate_key(2048, {"kid": "bench", "use": "sig", "alg": "RS256"})
    with _published(key) as url:
        environ = stack.environ | {
            "CLAIMCHECK_AUTH": "jwt",
            "CLAIMCHECK_JWT__ISSUER": url,
            "CLAIMCHECK_JWT__AUDIENCE": _AUDIENCE,
            "CLAIMCHECK_JWT__JWKS_URL": url,
        }
        tokens = [_token(key, url, number) for number in range(CALLERS)]
        asking = dataclasses.replace(stack, environ=environ)
        with stack.service() as trusting, asking.service() as closed:
            signed = dataclasses.replace(
                announcing("an RS256 JWT each", closed, stack), tokens=tokens
            )
            stack.measure("authentication", [announcing("auth = none", trusting, stack), signed])


def _token(key: RSAKey, issuer: str, number: int) -> str:
    """About as long as what identity providers issue."""
    claims = {
        "iss": issuer,
        "aud": [_AUDIENCE, f"{issuer}/userinfo"],
        "sub": f"auth0|{number:024x}",
        "azp": "kWqT2vYdNpXzR7mLcJfHsB4gA9eU6iOo",
        "scope": "openid profile email uploads:write files:read files:delete",
        "iat": int(time.time()),
        "exp": int(time.time()) + 86_400,
    }
    return jwt.encode({"alg": "RS256", "kid": "bench"}, claims, key)


@contextmanager
def _published(key: RSAKey) -> Iterator[str]:
    """The address of an issuer that publishes the key."""
    body = json.dumps({"keys": [key.as_dict(private=False)]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
