"""Counters in Redis, which all processes of a service share.

Loaded late, by `app.runtime.rate_limits` where a Redis is set: its client takes 5 MiB.
"""

import time
from typing import Final

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

# Redis is asked before every request: one that is slow must not make the service slow.
REDIS_SECONDS: Final = 1.0
# Redis answers in a fraction of a millisecond: few connections serve many requests at once.
_CONNECTIONS: Final = 8


class SharedCounts:
    """The windows of all callers, each under its key."""

    def __init__(self, url: str) -> None:
        """Nothing is connected yet."""
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = RedisStorage(
            url,
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="claimcheck",
            connection_pool=self._pool,  # type: ignore[arg-type]
        )

    async def add(self, key: str, seconds: int, cost: int, amount: int) -> tuple[int, float | None]:
        """Add `cost` to the key's window: its count then, and, where that has come to `amount`, the
        seconds to its end. Raises StorageError and OSError.
        """
        redis = self._redis
        used = await (redis.incr(key, seconds, cost) if cost else redis.get(key))
        left = None
        if used >= amount:
            left = max(0.0, await redis.get_expiry(key) - time.time())
        return used, left

    async def close(self) -> None:
        await self._pool.aclose()
