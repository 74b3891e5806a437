"""Limit the requests of callers, and the failed authentications of addresses.

Fixed windows: a window begins with a caller's first request and takes so many; further requests
are refused until it ends. Counted in this process, or in Redis for all replicas together.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from limits import RateLimitItem
from limits.errors import StorageError

from app.core.client_address import limited_network
from app.core.principal import Principal
from app.errors import TooManyRequests
from app.logs.log import get_logger
from app.settings.model import Settings

if TYPE_CHECKING:
    from app.runtime.shared_counts import SharedCounts

# Seconds after a failure of Redis during which this process counts by itself.
REDIS_PAUSE: Final = 5.0
MAX_WINDOWS: Final = 100_000  # of one length
_log: Final = get_logger("rate_limits")
# The library logs every failure with a traceback; we log one line.
logging.getLogger("limits").setLevel(logging.CRITICAL)


class LimitState(NamedTuple):
    """A limit after a request: `used` of it, `seconds` to the window's end if that is known."""

    policy: str
    limit: RateLimitItem
    used: int
    seconds: float | None

    def headers(self) -> dict[str, str]:
        """The two that draft-ietf-httpapi-ratelimit-headers-11 describes."""
        amount, window = self.limit.amount, self.limit.get_expiry()
        left = f'"{self.policy}";r={max(0, amount - self.used)}'
        if self.seconds is not None:
            left += f";t={math.ceil(self.seconds)}"
        return {"ratelimit-policy": f'"{self.policy}";q={amount};w={window}', "ratelimit": left}


class Windows:
    """Counters in this process, bounded in number.

    Windows of one length end in the order in which they begin, so that those which have ended are
    found without looking at the others. The library's own storage looks at all, for each request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[int, OrderedDict[str, tuple[float, int]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    def add(self, key: str, seconds: int, amount: int) -> tuple[int, float]:
        """Add to the key's window: its count then, and the seconds to its end."""
        windows = self._windows.setdefault(seconds, OrderedDict())
        now = self._clock()
        while windows:
            first = next(iter(windows))
            if windows[first][0] > now and len(windows) < MAX_WINDOWS:
                break
            del windows[first]
        end, count = windows.get(key, (now + seconds, 0))
        windows[key] = end, count + amount
        # The difference of a sum may be a little more than what was added.
        return count + amount, min(end - now, seconds)


class RateLimits:
    """The limits of one process, all off unless the settings say otherwise."""

    def __init__(self, settings: Settings) -> None:
        self._of_callers = settings.rate_limit
        self._of_addresses = settings.rate_limit_failures
        self._windows = Windows()
        self._shared: SharedCounts | None = None
        self._failed_at = -math.inf
        url = settings.rate_limit_storage_url
        if url is not None:
            # Loaded late: most services count in their own processes.
            from app.runtime import shared_counts

            self._shared = shared_counts.SharedCounts(url.get_secret_value())

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def admit(self, caller: Principal, cost: int = 1) -> LimitState | None:
        """Count the caller's request as `cost` of them. Raises TooManyRequests past the limit."""
        if self._of_callers is None or cost == 0:
            return None
        # Names are printable, so that no two callers come to the same key.
        key = "\n".join(map(str, caller.identity))
        return await self._count("requests", self._of_callers, key, cost)

    async def admit_address(self, address: str | None, *, failures: int = 0) -> None:
        """Count failed authentications of the address; without any, see whether it had too many.

        Raises TooManyRequests past the limit.
        """
        if self._of_addresses is not None:
            await self._count("failures", self._of_addresses, limited_network(address), failures)

    async def _count(self, policy: str, limit: RateLimitItem, who: str, cost: int) -> LimitState:
        key = limit.key_for(policy, who)
        state = LimitState(policy, limit, *await self._add(key, limit, cost))
        if state.used > limit.amount - (0 if cost else 1):
            seconds = max(1, math.ceil(state.seconds or 1))
            raise TooManyRequests(
                f"More than {limit.amount} {policy} in {limit.get_expiry()} s: wait {seconds} s.",
                retry_after=seconds,
                headers=state.headers(),
            )
        return state

    async def _add(self, key: str, limit: RateLimitItem, cost: int) -> tuple[int, float | None]:
        seconds = limit.get_expiry()
        shared = self._shared
        if shared is not None and time.monotonic() >= self._failed_at + REDIS_PAUSE:
            try:
                return await shared.add(key, seconds, cost, limit.amount)
            except (StorageError, OSError) as error:
                now = time.monotonic()
                if now >= self._failed_at + REDIS_PAUSE:
                    cause = type(error.__cause__ or error).__name__
                    _log.warning("counting_alone", cause=cause, seconds=REDIS_PAUSE)
                self._failed_at = now
        return self._windows.add(key, seconds, cost)
