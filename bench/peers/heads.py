"""HEAD of each object, and nothing else; prints the seconds that it took.

`python -m bench.peers.heads KEYS PARALLEL`, with a file of keys, one a line, and the service's
settings in the environment. aiohttp, which aioboto3 sends by, and the service's own signer, which
is faster than boto3's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
from yarl import URL

from app.core.sigv4 import Credentials, presign_url
from app.settings.model import load_settings
from app.store.signer import utc_now


async def ask(keys: list[str], parallel: int) -> float:
    """Seconds that it took to ask for all of them. Raises ValueError unless each is there."""
    settings = load_settings()
    destination = settings.destinations["files"]
    assert settings.aws_access_key_id is not None
    assert settings.aws_secret_access_key is not None
    secret = settings.aws_secret_access_key.get_secret_value()
    credentials = Credentials(settings.aws_access_key_id, secret)
    left = iter(keys)
    start = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=parallel)) as web:

        async def lane() -> None:
            for key in left:
                url = presign_url(
                    *("HEAD", destination.address, key),
                    credentials=credentials,
                    now=utc_now(),
                    expires_in=900,
                )
                async with web.head(URL(url, encoded=True)) as answer:
                    if answer.status != 200:
                        raise ValueError(f"the store answered {answer.status} to a HEAD")

        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(lane())
    return time.perf_counter() - start


def main() -> None:
    path, parallel = sys.argv[1:]
    keys = Path(path).read_text().splitlines()
    print(json.dumps({"seconds": asyncio.run(ask(keys, int(parallel)))}))  # noqa: T201


if __name__ == "__main__":
    main()
