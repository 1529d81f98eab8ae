"""Fetching pictures into the cache: only what is missing, at an agreed rate, losing nothing when it is stopped.

Belongs here: which pictures to ask for, attempts and waits, shards, the report. Does not: one request
(`compute.fetch_client`), the rate (`compute.rate_limit`), what a cover's address is (`openlibrary.covers`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.compute.fetch_client import Answer, FetchClient
from booksearch_assets.compute.fetch_files import is_file
from booksearch_assets.compute.fetch_policy import RETRYABLE, FetchPolicy, FetchStatus, FetchStopped
from booksearch_assets.compute.rate_limit import HostLimiter
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.images import SHARD
from booksearch_assets.tables.shards import ShardStore

__all__ = [
    "RETRYABLE",
    "FetchPolicy",
    "FetchProgress",
    "FetchReport",
    "FetchStatus",
    "FetchStopped",
    "fetch_missing",
    "fetched_images",
    "wanted_images",
]

_DECODERS = 2
_TICK_SECONDS = 1.0


@dataclass(frozen=True)
class FetchProgress:
    """How far a fetch is: pictures settled of `total`, by status, and what went over the wire."""

    settled: int
    total: int
    by_status: dict[str, int]
    requests: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class FetchReport:
    """What a fetch did. `fetched` pictures were settled now, `by_status`; `reused` ones had been before.

    `requests` counts every hop of every attempt; `bytes` is what arrived.
    """

    requests: int
    fetched: int
    bytes: int
    by_status: dict[str, int]
    seconds: float
    reused: int


def fetch_missing(
    wanted: pa.Table,
    cache: ShardStore,
    policy: FetchPolicy,
    shard_rows: int = 256,
    on_progress: Callable[[FetchProgress], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: random.Random | None = None,
    flush_seconds: float = 30.0,
) -> FetchReport:
    """Fetch the pictures of `wanted` (the cache's key, `url`) that the cache does not hold for good.

    A picture is asked for where it is absent from the cache, or where its last status is retryable. Finished rows
    are saved every `shard_rows` or `flush_seconds`, and when the fetch is interrupted, so a kill loses at most one
    shard and the requests under way. `on_progress` is called about once a second, in the caller's thread.

    Raises `ValueError` where a real service would be asked without a contact, and `FetchStopped` where the service
    answers errors only, or asks for a pause longer than the policy's.
    """
    missing, reused = _missing(wanted, cache)
    hosts = {urlsplit(url).hostname or "" for _, url in missing if not is_file(url)}
    policy.require_contact(hosts)
    if not missing:
        return FetchReport(0, 0, 0, {}, 0.0, reused)
    run = _Run(missing, hosts, cache, policy, shard_rows, now, rng or random.Random(), flush_seconds)
    _run_to_end(run.run(), lambda: on_progress(run.progress()) if on_progress else None)
    done = run.progress()
    return FetchReport(done.requests, done.settled, done.bytes, done.by_status, done.seconds, reused)


def fetched_images(cache: ShardStore, contract: Table) -> pa.Table:
    """What the cache says of every picture that was ever asked for, by the contract `PictureTables.images`."""
    index = cache.index([name for name in contract.column_names if name != SHARD])
    return index.select(contract.column_names).cast(contract.schema)


def wanted_images(wanted: pa.Table, fetched: pa.Table, key: str) -> pa.Table:
    """The rows of `fetched_images` of the wanted pictures, sorted; pictures that were never asked for are left out."""
    return fetched.filter(pc.is_in(fetched[key], wanted[key].combine_chunks())).sort_by(key)


def _missing(wanted: pa.Table, cache: ShardStore) -> tuple[list[tuple[Any, str]], int]:
    """The (key, url) pairs to ask for, each key once, and how many keys the cache answers."""
    key = cache.table.key[0]
    index = cache.index(["status"])
    retryable = pa.array([status.value for status in RETRYABLE])
    settled = index.filter(pc.invert(pc.is_in(index["status"], retryable)))[key]
    pairs = dict(zip(wanted[key].to_pylist(), wanted["url"].to_pylist(), strict=True))
    known = set(settled.to_pylist())
    missing = [(value, url) for value, url in pairs.items() if value not in known]
    return missing, len(pairs) - len(missing)


class _Run:
    """One fetch: `concurrency` workers draw pictures from one iterator, and save rows as they are settled."""

    def __init__(
        self,
        missing: list[tuple[Any, str]],
        hosts: set[str],
        cache: ShardStore,
        policy: FetchPolicy,
        shard_rows: int,
        now: Callable[[], datetime],
        rng: random.Random,
        flush_seconds: float,
    ) -> None:
        self._pending: Iterator[tuple[Any, str]] = iter(missing)
        self._total, self._hosts, self._cache, self._policy = len(missing), frozenset(hosts), cache, policy
        self._shard_rows, self._flush_seconds, self._now, self._rng = shard_rows, flush_seconds, now, rng
        self._rows: list[dict[str, Any]] = []
        self._by_status: Counter[str] = Counter()
        self._failures_in_a_row = 0
        self._started = time.monotonic()
        self._client: FetchClient | None = None
        self._saving = asyncio.Lock()

    def progress(self) -> FetchProgress:
        """A snapshot; may be taken in any thread."""
        client, by_status = self._client, dict(self._by_status)
        return FetchProgress(
            sum(by_status.values()),
            self._total,
            by_status,
            client.requests if client else 0,
            client.received if client else 0,
            time.monotonic() - self._started,
        )

    async def run(self) -> None:
        """Fetches everything. Whatever ends it, finished rows are saved."""
        limiter = HostLimiter(self._policy.requests_per_minute, self._policy.burst)
        with ThreadPoolExecutor(_DECODERS) as decoders, ThreadPoolExecutor(1) as self._writer:
            async with FetchClient(self._policy, self._hosts, limiter, decoders) as self._client:
                count = min(self._policy.concurrency, self._total)
                workers = [asyncio.create_task(self._work(self._client)) for _ in range(count)]
                clock = asyncio.create_task(self._save_now_and_then())
                try:
                    await asyncio.gather(*workers)
                finally:
                    for task in (*workers, clock):
                        task.cancel()
                    await asyncio.gather(*workers, clock, return_exceptions=True)
                    await self._save()

    async def _work(self, client: FetchClient) -> None:
        for key, url in self._pending:
            row = await self._settled(client, key, url)
            self._rows.append(row)
            self._by_status[row["status"]] += 1
            # Nothing new is asked for while a shard is written: a kill would lose that on top.
            if len(self._rows) >= self._shard_rows or self._saving.locked():
                await self._save(at_least=self._shard_rows)

    async def _settled(self, client: FetchClient, key: Any, url: str) -> dict[str, Any]:
        """The row of one picture, after as many attempts as it takes or the policy allows."""
        attempts: list[dict[str, Any]] = []
        while True:
            answer = await client.ask(url)
            at = self._now()
            attempts.append(
                {
                    "at": at,
                    "status": answer.status.value,
                    "http_status": answer.http_status,
                    "error": answer.error,
                    "seconds": answer.seconds,
                }
            )
            self._look_out(answer)
            if answer.status not in RETRYABLE:
                break
            delay = self._delay(len(attempts))
            paused = self._pause_host(client, answer, delay)
            if len(attempts) >= self._policy.max_attempts:
                break
            if not paused:
                await asyncio.sleep(delay)
        return {
            self._cache.table.key[0]: key,
            "url": url,
            "status": answer.status.value,
            "http_status": answer.http_status,
            "content_type": answer.content_type,
            "etag": answer.etag,
            "sha256": answer.sha256,
            "size": len(answer.content) if answer.content is not None else None,
            "width": answer.width,
            "height": answer.height,
            "attempts": attempts,
            "fetched_at": at,
            "content": answer.content,
        }

    def _delay(self, attempts: int) -> float:
        """Exponential back-off with full jitter."""
        ceiling = min(self._policy.backoff_base * 2 ** (attempts - 1), self._policy.backoff_cap)
        return self._rng.uniform(0, ceiling)

    def _pause_host(self, client: FetchClient, answer: Answer, delay: float) -> bool:
        """Nobody asks a host that said when to come back, or that said "too many", before then."""
        if answer.retry_after is None and answer.http_status != 429:
            return False
        pause = delay if answer.retry_after is None else answer.retry_after
        if pause > self._policy.longest_pause:
            raise FetchStopped(
                f"{answer.host} answered HTTP {answer.http_status} and asks to come back in {pause:.0f} s, more than "
                f"the {self._policy.longest_pause:.0f} s that this fetch waits; what was fetched is saved, run again then"
            )
        client.limiter[answer.host].pause(pause)
        return True

    def _look_out(self, answer: Answer) -> None:
        """Stops the fetch when the service itself is out: its covers have not failed."""
        self._failures_in_a_row = self._failures_in_a_row + 1 if answer.status in RETRYABLE else 0
        if self._failures_in_a_row >= self._policy.give_up_after:
            raise FetchStopped(
                f"{answer.host} failed {self._failures_in_a_row} times in a row, last with {answer.status.value} "
                f"({answer.error}); what was fetched is saved. Check the network, the service and the request rate, "
                "then run again: it continues from there"
            )

    async def _save(self, at_least: int = 1) -> None:
        """Appends the finished rows as a shard, where there are enough of them."""
        async with self._saving:
            rows = self._rows[:]
            if len(rows) >= at_least:
                await asyncio.get_running_loop().run_in_executor(self._writer, self._append, rows)
                del self._rows[: len(rows)]

    def _append(self, rows: list[dict[str, Any]]) -> None:
        self._cache.append(pa.Table.from_pylist(rows, self._cache.table.schema))

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._flush_seconds)
            await self._save()


def _run_to_end(coroutine: Coroutine[Any, Any, None], on_tick: Callable[[], None]) -> None:
    """Runs `coroutine` in a thread with a loop of its own, and `on_tick` in the caller's about once a second.

    So it works where a loop is running already, and an interrupt, which a signal handler raises in the caller's
    thread and which asyncio would swallow in a callback, cancels the coroutine in order.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    try:
        with ThreadPoolExecutor(1, "fetch") as thread:
            finished = thread.submit(loop.run_until_complete, task)
            try:
                while not wait([finished], _TICK_SECONDS).done:
                    on_tick()
            except BaseException:
                loop.call_soon_threadsafe(task.cancel)
                raise
    finally:
        loop.close()
    finished.result()
    on_tick()
