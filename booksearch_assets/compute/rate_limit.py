"""Asking a host no faster than agreed: one token bucket for each host, and its Retry-After.

Belongs here: when a request may go out. Does not: what is asked, what the answer means (`compute.fetch`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Waking exactly when a token is due may find 0.9999999999 of it.
_WHOLE_TOKEN = 1 - 1e-9


class TokenBucket:
    """Lets requests through one by one, in the order they came.

    In any window of T seconds at most `burst + T * per_minute / 60` pass; `burst` is also what makes up for waking
    late. `math.inf` a minute sets no limit. For one event loop.
    """

    def __init__(
        self,
        per_minute: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_second, self._burst = per_minute / 60, burst
        self._clock, self._sleep = clock, sleep
        self._tokens, self._counted_at = float(burst), clock()
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Returns when the next request may go out."""
        async with self._turn:
            while (wait := self._wait()) > 0:
                await self._sleep(wait)
            self._tokens -= 1

    def pause(self, seconds: float) -> None:
        """Nothing passes for `seconds`; then requests start again at the rate, with no burst."""
        self._counted_at = max(self._counted_at, self._clock() + seconds)
        self._tokens = 0.0

    def _wait(self) -> float:
        """Seconds until a token is due; 0 where there is one."""
        elapsed = self._clock() - self._counted_at
        if elapsed < 0:
            return -elapsed
        if math.isinf(self._per_second):
            self._tokens = 1.0
            return 0.0
        self._tokens = min(self._tokens + elapsed * self._per_second, float(self._burst))
        self._counted_at += elapsed
        return 0.0 if self._tokens >= _WHOLE_TOKEN else (1 - self._tokens) / self._per_second


class HostLimiter:
    """One bucket of the same rate for each host, since each host counts only what it is asked itself."""

    def __init__(
        self,
        per_minute: float,
        burst: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._new = lambda: TokenBucket(per_minute, burst, clock, sleep)
        self._buckets: dict[str, TokenBucket] = {}

    def __getitem__(self, host: str) -> TokenBucket:
        if host not in self._buckets:
            self._buckets[host] = self._new()
        return self._buckets[host]


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date (RFC 9110, 10.2.3); None if it does not."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - (now or datetime.now(UTC))).total_seconds(), 0.0)
