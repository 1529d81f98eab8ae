"""Fetching pictures: our stage beside img2dataset, on the same server, the same pictures and the same cores.

Three rows: with nothing in the way; what each loses where the server has troubles, as real ones do; and how much of an
agreed rate is held.

Belongs here: these comparisons. Does not: the server (`picture_server`).

img2dataset is run as a user who wants the originals would: it decodes every picture and keeps its bytes, as we do, in
Parquet, with a process for each core and its threads. What it starts is left out of its time, by its own record of
when its shards began and ended; ours is timed around the stage, likewise without imports.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import peers
from harness import Contestant, Done, compare
from picture_server import Troubles, serving
from rows import At, Row, faster

_THREADS = 64
_ATTEMPTS = 4
"""As many as our policy makes; img2dataset makes one, unless told otherwise."""

_CONCURRENCY = 64


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--fetched", type=int, default=1_500, help="Pictures to fetch from a sound server.")
    parser.add_argument("--troubled", type=int, default=500, help="And from one with troubles.")
    parser.add_argument("--per-second", type=float, default=200.0, help="The rate that is to be held.")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    fetched, troubled, seconds = (
        (200, 100, 2.0) if options.quick else (options.fetched, options.troubled, 4.0)
    )
    if not peers.installed():
        yield Row.missing("fetch pictures", "img2dataset", peers.HOW)
    else:
        yield from _against_img2dataset(options, fetched, troubled)
    with serving() as address:
        asked = {
            "address": address,
            "count": int(options.per_second * seconds),
            "per_second": options.per_second,
        }
        held = compare([Contestant("booksearch", limited, asked)], options.repetitions)["booksearch"]
    rate = held.figure("per_second")
    most = max(run.figures["most_in_a_second"] for run in held.runs)
    yield Row(
        "fetch at an agreed rate",
        f"booksearch {rate:,.1f}/s",
        f"the limit, {options.per_second:g}/s",
        rate / options.per_second,
        At.LEAST,
        0.97,
        peak_memory=held.peak_memory,
        note=f"{most:.0f} requests in the busiest second of all runs, as the server counted them",
        measured=(held,),
    )


def _against_img2dataset(options: argparse.Namespace, fetched: int, troubled: int) -> Iterator[Row]:
    with serving() as address:
        arguments = {"address": address, "count": fetched}
        measured = compare(
            [
                Contestant("booksearch", ours, arguments),
                Contestant("img2dataset", img2dataset, arguments | {"attempts": 1}),
            ],
            options.repetitions,
        )
    ours_, peer = measured["booksearch"], measured["img2dataset"]
    yield faster(
        "fetch pictures",
        ours_,
        peer,
        at_least=1.0,
        note=f"{fetched / ours_.seconds:,.0f} and {fetched / peer.seconds:,.0f} pictures a second, decoded and kept; "
        f"{1000 * ours_.cpu_seconds / fetched:.2f} and {1000 * peer.cpu_seconds / fetched:.2f} ms of processor each "
        "with all start-up",
    )
    lost: dict[str, float] = {}
    troubles = Troubles(per_second=troubled / 5, out_seconds=1.0, late_seconds=11.0)
    contestants = {
        "booksearch": (ours, {}),
        "img2dataset, 4 attempts": (img2dataset, {"attempts": _ATTEMPTS}),
    }
    done = []
    for name, (work, more) in contestants.items():
        # A server for each, since it remembers who asked for what.
        with serving(troubles) as address:
            asked = {"address": address, "count": troubled, **more}
            found = compare([Contestant(name, work, asked)], 1)[name]
        done.append(found)
        lost[name] = troubled - found.figure("kept")
    told = ", ".join(f"{name} {count:,.0f}" for name, count in lost.items())
    yield Row(
        "pictures lost to a troubled server",
        f"booksearch {lost['booksearch']:,.0f}",
        f"img2dataset, {_ATTEMPTS} attempts {lost['img2dataset, 4 attempts']:,.0f}",
        lost["booksearch"] / max(1.0, lost["img2dataset, 4 attempts"]),
        At.MOST,
        0.99,
        peak_memory=done[0].peak_memory,
        note=f"of {troubled:,}: {told}. The server says 429 above {troubled / 5:g} a second, 503 or nothing to 6 % for "
        "a second, and answers one in 400 after 11 s",
        measured=tuple(done),
    )


def ours(address: str, count: int) -> Done:
    """The stage of the graph, with an empty cache and no limit of its own."""
    return _fetched(address, count, float("inf"))


def limited(address: str, count: int, per_second: float) -> Iterator[Done]:
    """The same at a rate, as the server saw it."""
    # Imports what it needs.
    yield _fetched(address, 1, float("inf"))
    while True:
        urlopen(f"{address}/reset").read()
        done = _fetched(address, count, 60 * per_second)
        asked = sorted(json.loads(urlopen(f"{address}/asked").read()))
        busiest = max(
            sum(start <= at < start + 1 for at in asked) for start in asked[:: max(1, count // 100)]
        )
        # The first request is at the beginning, so the rate is of those after it.
        figures = {"per_second": (len(asked) - 1) / (asked[-1] - asked[0]), "most_in_a_second": busiest}
        yield Done(done.answer, done.seconds, {**done.figures, **figures})


def _fetched(address: str, count: int, per_minute: float) -> Done:
    import pyarrow as pa

    from booksearch_assets.compute.fetch import FetchPolicy, fetch_missing
    from booksearch_assets.tables.books import COVERS

    with TemporaryDirectory() as folder:
        cache = COVERS.bytes_cache(folder, "benchmark")
        wanted = pa.table({"cover_id": range(count), "url": [_url(address, n) for n in range(count)]})
        policy = FetchPolicy(requests_per_minute=per_minute, concurrency=_CONCURRENCY)
        started = time.perf_counter()
        report = fetch_missing(wanted, cache, policy)
        seconds = time.perf_counter() - started
        kept = [
            content
            for part in cache.read_keys(cache.index([]), ["content"])
            for content in part["content"].to_pylist()
            if content
        ]
    return Done(_digest(kept, count), seconds, {"kept": len(kept), "requests": report.requests})


def img2dataset(address: str, count: int, attempts: int) -> Done:
    """Its own command, with the originals kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cores = os.cpu_count() or 1
    with TemporaryDirectory() as folder:
        urls, output = Path(folder, "urls.parquet"), Path(folder, "output")
        pq.write_table(pa.table({"url": [_url(address, n) for n in range(count)]}), urls)
        settings = {
            "url_list": urls,
            "input_format": "parquet",
            "output_folder": output,
            "output_format": "parquet",
            "processes_count": cores,
            "thread_count": _THREADS,
            "number_sample_per_shard": -(-count // cores),
            "resize_mode": "no",
            "skip_reencode": True,
            "extract_exif": False,
            "compute_hash": "sha256",
            "retries": attempts - 1,
        }
        peers.run_peer(["img2dataset", *(f"--{name}={value}" for name, value in settings.items())])
        stats = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
        seconds = max(s["end_time"] for s in stats) - min(s["start_time"] for s in stats)
        tables = [pq.read_table(path, columns=["jpg"]) for path in output.glob("*.parquet")]
        kept = [content for table in tables for content in table["jpg"].to_pylist() if content]
    return Done(_digest(kept, count), seconds, {"kept": len(kept)})


def _digest(kept: Iterable[bytes], count: int) -> dict[str, Any]:
    """What must agree where nothing is lost: the bytes, in whatever order they came."""
    each = sorted(hashlib.sha256(content).hexdigest() for content in kept)
    return {"asked": count, "kept": len(each), "bytes": hashlib.sha256("".join(each).encode()).hexdigest()}


def _url(address: str, number: int) -> str:
    return f"{address}/{number}.jpg"
