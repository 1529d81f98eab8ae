"""The threads that searches run in: few, and no endless queue before them.

Belongs here: running a call within the limits. Does not: the call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from booksearch_assets.search.api.limits import Limits
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind

_T = TypeVar("_T")


class SearchThreads:
    """Runs calls off the event loop, so many at a time, and refuses at once what would wait too long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="search")
        self._lock = threading.Lock()
        self._under_way = 0

    async def run(self, call: Callable[[], _T]) -> _T:
        """What `call` returns or raises. Raises `ApiProblem` where the service is overloaded."""
        with self._lock:
            if self._under_way >= self._limits.threads + self._limits.waiting:
                raise _overloaded(f"{self._under_way} searches are under way")
            self._under_way += 1
        future = self._pool.submit(call)
        future.add_done_callback(self._ended)
        done, _ = await asyncio.wait({asyncio.wrap_future(future)}, timeout=self._limits.search_seconds)
        if not done:
            future.cancel()
            raise _overloaded(f"no answer within {self._limits.search_seconds:g} s")
        return done.pop().result()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self._under_way -= 1


def _overloaded(detail: str) -> ApiProblem:
    return ApiProblem(ProblemKind.OVERLOADED, f"{detail}; ask again later", {"Retry-After": "2"})
