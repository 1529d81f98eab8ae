"""Fifty people at a `booksearch serve`, beside what they ask it of: bare pymilvus on the same collection.

Run from the repository: python benchmarks/search_load.py --books 70000 --seconds 120. It publishes books that never
were, starts the real command in a process of its own, and measures, in this order: recall@10 against exact search, without
a filter and under filters that keep 3 % and 14 % of the books; one client; `--clients` clients for `--seconds`; and
pymilvus itself, with one caller and with eight. Exits with 1 where an answer was an error, recall is below 0.98, or
memory grew by more than a fifth under load. Writes results/search-load-STORE-BOOKS.json and a plot.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from search_world import (
    COLLECTION,
    FIRST_YEAR,
    edition_key,
    publish_books,
    text,
    unit_vectors,
    wide_model,
    years_of,
)

from booksearch_assets.vectorstores.connect import open_store

RESULTS = Path(__file__).parent / "results"
K = 10
MIN_RECALL = 0.98
MAX_GROWTH = 1.2
FILTERS = {"none": None, "3 %": 3, "14 %": 14}
"""How many of the hundred years each keeps."""

_ASKED = 100
_CALLERS = 8


@dataclass
class Load:
    """What some clients got. Latencies are in milliseconds, by kind of request; `search_ms` is without encoding."""

    clients: int
    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    search_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return sum(map(len, self.latencies.values()))

    def summary(self) -> dict[str, Any]:
        every = [ms for kind in self.latencies.values() for ms in kind]
        return {
            "clients": self.clients,
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "errors": dict(self.errors),
            "per_second": round(self.requests / self.seconds, 1),
            "ms": _percentiles(every),
            "ms_by_kind": {kind: _percentiles(ms) for kind, ms in self.latencies.items()},
            "search_without_encoding_ms": _percentiles(self.search_ms),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--books", type=int, default=70_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--store", choices=("lite", "server"), default="lite")
    arguments = parser.parse_args()
    _require_memory(arguments.books, arguments.dimension)
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        _store_uri(arguments.store, Path(folder)) as uri,
    ):
        home = Path(folder)
        bundle = wide_model(home, arguments.dimension)
        vectors = unit_vectors(arguments.books, arguments.dimension)
        print(f"publishing {arguments.books:,} books of {arguments.dimension} numbers in {uri}", flush=True)
        started = time.monotonic()
        with open_store(uri) as store:
            publish_books(store, vectors, bundle)
        published = time.monotonic() - started
        environment = os.environ | {
            "BOOKSEARCH_HOME": str(home),
            "BOOKSEARCH_MILVUS_URI": uri,
            "BOOKSEARCH_MODEL": str(bundle.folder),
        }
        with _serving(environment) as (address, pid):
            recall = asyncio.run(_recall(address, vectors))
            print(f"recall@{K}: {recall}", flush=True)
            one = asyncio.run(_load(address, 1, min(10.0, arguments.seconds), arguments.books))
            # Threads and caches are filled by then.
            asyncio.run(_load(address, arguments.clients, arguments.seconds / 4, arguments.books))
            before, busy = _memory_mb(pid), _cpu_seconds(pid)
            many = asyncio.run(_load(address, arguments.clients, arguments.seconds, arguments.books))
            after, busy = _memory_mb(pid), _cpu_seconds(pid) - busy
        bare = _bare(uri, vectors, min(10.0, arguments.seconds))
    result = {
        "books": arguments.books,
        "dimension": arguments.dimension,
        "store": arguments.store,
        "machine": {"cores": os.cpu_count(), "load_average": os.getloadavg()[0]},
        "publish_seconds": round(published, 1),
        f"recall_at_{K}": recall,
        "one_client": one.summary(),
        "many_clients": many.summary() | {"processor_ms_per_request": round(1000 * busy / many.requests, 1)},
        "memory_mb": {"before": before, "after": after},
        "bare_pymilvus": bare,
    }
    result["ratios_to_bare_pymilvus"] = _ratios(result)
    _write(result, one, many)
    problems = _problems(result)
    print("\n".join(problems) or "all within the limits")
    return 1 if problems else 0


def _require_memory(books: int, dimension: int) -> None:
    """The vectors are held here, in the service, and in what it is compared with."""
    needed = 4 * books * dimension * 4 / 1e9
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / 1e9
    if needed > there:
        sys.exit(
            f"{books:,} books need about {needed:.0f} GB of memory and {there:.0f} GB are free; ask for fewer --books"
        )


@contextmanager
def _store_uri(kind: str, home: Path) -> Iterator[str]:
    if kind == "lite":
        yield str(home / "milvus")
        return
    from booksearch_assets_tests.vectorstores.server import milvus_server

    yield milvus_server()


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The real command, until the end of the block: its address and its process."""
    command = [sys.executable, "-m", "booksearch_assets.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"http://[\d.:]+", line)
            if found is None:
                sys.exit(f"booksearch serve said {line!r} and not where it listens")
            yield found[0], process.pid
        finally:
            process.terminate()


async def _recall(address: str, vectors: np.ndarray) -> dict[str, float]:
    """recall@10 of books like a book, by how much the filter keeps."""
    years = years_of(len(vectors))
    rows = np.random.default_rng(3).integers(0, len(vectors), _ASKED)
    found: dict[str, float] = {}
    async with aiohttp.ClientSession(address) as session:
        for name, kept in FILTERS.items():
            mask = np.ones(len(vectors), bool) if kept is None else years < FIRST_YEAR + kept
            candidates = np.flatnonzero(mask)
            # By parts: all vectors of a filter at once would take as much memory as the collection.
            scores = np.concatenate(
                [vectors[part] @ vectors[rows].T for part in np.array_split(candidates, 50)]
            )
            hits = 0
            for column, row in enumerate(rows):
                scores[candidates == row, column] = -2.0
                best = {edition_key(int(n)) for n in candidates[np.argpartition(-scores[:, column], K)[:K]]}
                hits += len(best & await _similar(session, int(row), kept))
            found[name] = round(hits / (K * len(rows)), 4)
    return found


async def _similar(session: aiohttp.ClientSession, row: int, kept: int | None) -> set[str]:
    asked = {"k": str(K), "collapse": "false"} | _years(kept)
    async with session.get(f"/v1/similar/{edition_key(row)}", params=asked) as response:
        response.raise_for_status()
        return {result["edition_key"] for result in (await response.json())["results"]}


def _years(kept: int | None) -> dict[str, str]:
    return {"years": f"{FIRST_YEAR}..{FIRST_YEAR + kept - 1}"} if kept else {}


async def _load(address: str, clients: int, seconds: float, books: int) -> Load:
    """As many clients, each of which asks again as soon as it is answered."""
    print(f"{clients} clients for {seconds:g} s", flush=True)
    load = Load(clients)
    deadline = time.monotonic() + seconds
    started = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        await asyncio.gather(*(_client(session, load, n, deadline, books) for n in range(clients)))
    load.seconds = time.monotonic() - started
    return load


async def _client(
    session: aiohttp.ClientSession, load: Load, number: int, deadline: float, books: int
) -> None:
    chance = random.Random(number)
    while time.monotonic() < deadline:
        kind, path, asked = _request(chance, books)
        started = time.perf_counter()
        try:
            async with session.get(path, params=asked) as response:
                answer = await response.json(content_type=None)
                if response.status != 200:
                    load.errors[f"{response.status} {answer.get('type')}"] += 1
                elif len(answer["results"]) < K:
                    load.errors["too few results"] += 1
                else:
                    load.search_ms.append(1000 * answer["took"]["search_seconds"])
        except (aiohttp.ClientError, TimeoutError) as error:
            load.errors[type(error).__name__] += 1
        load.latencies.setdefault(kind, []).append(1000 * (time.perf_counter() - started))


def _request(chance: random.Random, books: int) -> tuple[str, str, dict[str, str]]:
    """Half of what is asked are texts, the rest in equal parts texts with a filter, and books like a book."""
    kind = chance.choice(("text", "text", "filtered text", "similar"))
    if kind == "similar":
        return kind, f"/v1/similar/{edition_key(chance.randrange(books))}", {}
    asked = {"text": text(chance.randrange(2_000))}
    return kind, "/v1/search", asked | (_years(14) if kind == "filtered text" else {})


def _bare(uri: str, vectors: np.ndarray, seconds: float) -> dict[str, Any]:
    """pymilvus itself: ms of one caller, and searches a second of one and of eight."""
    import pymilvus

    rows = np.random.default_rng(4).integers(0, len(vectors), 1_000)
    database = f"{uri}/{COLLECTION}.db" if "://" not in uri else uri
    client = pymilvus.MilvusClient(database)
    client.load_collection(COLLECTION)
    conditions = {"none": "", "14 %": f"publish_year < {FIRST_YEAR + 14}"}
    search = {"metric_type": "COSINE", "params": {"ef": 64}}

    def call(row: int, condition: str) -> None:
        client.search(
            COLLECTION,
            data=[vectors[row].tolist()],
            limit=K,
            filter=condition,
            search_params=search,
            output_fields=["title", "publish_year", "cover_id"],
        )

    found: dict[str, Any] = {}
    for name, condition in conditions.items():
        call(int(rows[0]), condition)
        found[f"one caller, filter {name}"] = _timed(lambda row, c=condition: call(row, c), rows, 1, seconds)
    found["eight callers, filter none"] = _timed(lambda row: call(row, ""), rows, _CALLERS, seconds)
    client.close()
    return found


def _timed(call: Callable[[int], None], rows: np.ndarray, callers: int, seconds: float) -> dict[str, Any]:
    import pymilvus

    print(f"bare pymilvus, {callers} callers for {seconds:g} s", flush=True)
    deadline = time.monotonic() + seconds
    started = time.monotonic()
    latencies: list[float] = []
    failures: list[str] = []

    def ask(first: int) -> None:
        # Once at least: a search may take longer than all the time there is.
        for row in itertools.cycle(np.roll(rows, first)):
            begun = time.perf_counter()
            try:
                call(int(row))
            except pymilvus.MilvusException as error:
                failures.append(str(error))
            else:
                latencies.append(1000 * (time.perf_counter() - begun))
            if time.monotonic() >= deadline:
                return

    threads = [threading.Thread(target=ask, args=(17 * n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "per_second": round(len(latencies) / (time.monotonic() - started), 1),
        "ms": _percentiles(latencies),
        "failures": dict(Counter(failures)),
    }


def _ratios(result: dict[str, Any]) -> dict[str, float]:
    """Above 1, the service is better: it answers more, or sooner. It also encodes texts, ranks, collapses and speaks HTTP."""
    bare, one, many = result["bare_pymilvus"], result["one_client"], result["many_clients"]
    p50 = bare["one caller, filter none"]["ms"]["p50"]
    most = max(measured["per_second"] for name, measured in bare.items() if name.endswith("filter none"))
    return {
        "throughput": round(many["per_second"] / most, 2),
        "p50 of one client, all requests": round(p50 / one["ms"]["p50"], 2),
        "p50 of one client, similar": round(p50 / one["ms_by_kind"]["similar"]["p50"], 2),
        "p50 of the search without encoding": round(p50 / one["search_without_encoding_ms"]["p50"], 2),
    }


def _problems(result: dict[str, Any]) -> list[str]:
    recall, memory = result[f"recall_at_{K}"], result["memory_mb"]
    problems = [
        f"recall@{K} with filter {n} is {r}, below {MIN_RECALL}" for n, r in recall.items() if r < MIN_RECALL
    ]
    errors = Counter(result["one_client"]["errors"]) + Counter(result["many_clients"]["errors"])
    if errors:
        problems.append(f"errors: {dict(errors)}")
    if memory["after"] > MAX_GROWTH * memory["before"]:
        problems.append(f"memory grew from {memory['before']} to {memory['after']} MB")
    return problems


def _memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024


def _cpu_seconds(pid: int) -> float:
    """Processor time of the service, which another job on the machine makes no longer."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _percentiles(ms: list[float]) -> dict[str, float]:
    if not ms:
        return {}
    return {f"p{p}": round(float(np.percentile(ms, p)), 2) for p in (50, 95, 99)}


def _write(result: dict[str, Any], one: Load, many: Load) -> None:
    import matplotlib.pyplot as plt

    RESULTS.mkdir(exist_ok=True)
    name = f"search-load-{result['store']}-{result['books']}"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    for side, load in zip(axes, (one, many), strict=True):
        for kind, ms in sorted(load.latencies.items()):
            side.plot(np.sort(ms), np.linspace(0, 1, len(ms)), label=kind)
        side.set_xscale("log")
        side.set_xlabel("ms")
        side.set_title(
            f"{load.clients} client{'s' * (load.clients > 1)}: {load.summary()['per_second']:,.0f} answers/s"
        )
        side.grid(alpha=0.3)
    bare = result["bare_pymilvus"]["one caller, filter none"]["ms"]["p50"]
    axes[0].axvline(bare, color="grey", linestyle="--", label=f"bare pymilvus, p50 {bare:.0f} ms")
    axes[0].set_ylabel("share of the answers")
    axes[0].legend(fontsize=8)
    figure.suptitle(f"{result['books']:,} books of {result['dimension']} numbers, {result['store']}")
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.png", dpi=110)


if __name__ == "__main__":
    sys.exit(main())
