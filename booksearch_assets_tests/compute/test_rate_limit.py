from __future__ import annotations

import asyncio
import math
import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.rate_limit import HostLimiter, TokenBucket, retry_after_seconds


class Clock:
    """Simulated time: a sleep takes what was asked, and `lateness` on top, as a busy event loop makes it."""

    def __init__(self, lateness: float = 0.0, seed: int = 0) -> None:
        self.now, self._lateness, self._rng = 1000.0, lateness, random.Random(seed)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + self._rng.uniform(0, self._lateness)
        await asyncio.sleep(0)


def passed(clock: Clock, bucket: TokenBucket, count: int, workers: int = 5) -> list[float]:
    """When each of `count` requests passed, drawn by several workers at once."""
    times: list[float] = []

    async def work(share: int) -> None:
        for _ in range(share):
            await bucket.acquire()
            times.append(clock())

    async def main() -> None:
        await asyncio.gather(*(work(count // workers) for _ in range(workers)))

    asyncio.run(main())
    return times


def assert_never_faster(times: list[float], per_second: float, burst: int) -> None:
    """In every window, between any two requests, at most burst + rate x length of the window."""
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + per_second * (times[last] - times[first]) + 1e-6


@settings(max_examples=40, deadline=None)
@given(
    per_minute=st.floats(1, 100_000),
    burst=st.integers(1, 20),
    late=st.floats(0, 3),
    seed=st.integers(0, 1000),
)
def test_no_window_holds_more_than_the_rate(per_minute: float, burst: int, late: float, seed: int) -> None:
    clock = Clock(late * 60 / per_minute, seed)
    times = passed(clock, TokenBucket(per_minute, burst, clock, clock.sleep), 100)
    assert_never_faster(times, per_minute / 60, burst)


@pytest.mark.parametrize("per_minute", [300, 6000])
def test_the_rate_is_reached_though_every_wake_is_late(per_minute: float) -> None:
    interval = 60 / per_minute
    clock = Clock(lateness=2 * interval)
    times = passed(clock, TokenBucket(per_minute, 10, clock, clock.sleep), 2000)
    assert (times[-1] - times[0]) <= 2000 * interval / 0.97


def test_a_pause_holds_everybody_and_starts_again_without_a_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(60, 10, clock, clock.sleep)

    async def main() -> list[float]:
        await bucket.acquire()
        bucket.pause(30)
        bucket.pause(5)
        times = []
        for _ in range(3):
            await bucket.acquire()
            times.append(clock() - 1000)
        return times

    assert asyncio.run(main()) == pytest.approx([31, 32, 33])


def test_unlimited_still_keeps_a_pause() -> None:
    clock = Clock()
    bucket = TokenBucket(math.inf, 1, clock, clock.sleep)

    async def main() -> None:
        for _ in range(1000):
            await bucket.acquire()
        assert clock() == 1000
        bucket.pause(7)
        await bucket.acquire()
        assert clock() == pytest.approx(1007)

    asyncio.run(main())


def test_hosts_have_budgets_of_their_own() -> None:
    clock = Clock()
    limiter = HostLimiter(60, 1, clock, clock.sleep)

    async def main() -> None:
        await limiter["a"].acquire()
        limiter["a"].pause(100)
        await limiter["b"].acquire()
        assert clock() == 1000
        await limiter["a"].acquire()
        assert clock() == pytest.approx(1101)

    asyncio.run(main())


def test_the_real_clock_is_never_overtaken() -> None:
    async def main() -> None:
        bucket = TokenBucket(12_000, 5)
        began = time.monotonic()
        for count in range(1, 101):
            await bucket.acquire()
            assert time.monotonic() - began >= (count - 5) / 200 - 1e-6

    asyncio.run(main())


def test_retry_after_as_seconds_as_a_date_and_as_nonsense() -> None:
    now = datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)
    assert retry_after_seconds("120") == 120
    assert retry_after_seconds("Wed, 21 Oct 2026 07:29:30 GMT", now) == 90
    assert retry_after_seconds("Wed, 21 Oct 2026 07:00:00 GMT", now) == 0
    assert retry_after_seconds("soon") is None
    assert retry_after_seconds("") is None
    assert retry_after_seconds(None) is None
