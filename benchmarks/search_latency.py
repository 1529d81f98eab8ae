"""What a search costs beside the encoding of its text: `python benchmarks/search_latency.py`.

Builds a collection of made-up books with clustered vectors, and times, query by query in turn: the bare product of the
vectors' matrix and the query in numpy with the choice of the ten best (the least that an exact search can do), the
embedded index with and without filters, and the whole engine. One thread. With `--milvus URI` a server holds the same
collection, and its recall@10 and time are told too. Times depend on the machine; ratios to the bare product less so.
Writes JSON into `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# Before numpy is loaded: one thread, so that ratios mean work and not cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from booksearch_assets.search.books import BookFilters, PageRange
from booksearch_assets.search.books_collection import books_collection
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import Query, SearchMode
from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, VectorIndex
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Between, Contains, Filter
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore

RESULTS = Path(__file__).parent / "results"
FILTERS: dict[str, Filter | None] = {
    "no filter": None,
    "3 % by pages": Between("pages", 0, 2),
    "14 % by pages": Between("pages", 0, 13),
    "a subject": Contains("subjects_folded", "subject 20"),
}
QUERIES = {
    "engine, by meaning": Query("x", mode=SearchMode.SEMANTIC),
    "engine, hybrid": Query("x"),
    "engine, hybrid, 14 %": Query("x", filters=BookFilters(pages=PageRange(0, 13))),
    "engine, words only": Query("x", mode=SearchMode.LEXICAL),
}


class RandomEncoder:
    """Gives every text a direction at no cost, so that what is timed is the rest."""

    bundle_id = "random@1"

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors, self._next = vectors, 0

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        self._next = (self._next + len(texts)) % (len(self._vectors) - len(texts))
        return self._vectors[self._next :][: len(texts)]

    def encode_images(self, images: list[Any]) -> np.ndarray:
        raise NotImplementedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=70_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--milvus", help="Address of a Milvus server to compare with.")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    vectors = clustered(generator, arguments.rows + arguments.queries, arguments.dimension)
    stored, asked = vectors[: arguments.rows], vectors[arguments.rows :]
    spec = books_collection("books_bench", arguments.dimension, {"bundle_id": RandomEncoder.bundle_id})
    rows = books(generator, stored, spec)
    index = ExactIndex(spec, rows)
    started = time.process_time()
    engine = SearchEngine(index, RandomEncoder(asked))
    report: dict[str, Any] = {
        "rows": arguments.rows,
        "dimension": arguments.dimension,
        "seconds to index the words": round(time.process_time() - started, 2),
        "milliseconds": timed(stored, asked, index, engine),
    }
    if arguments.milvus:
        with MilvusServerStore(arguments.milvus) as store:
            if spec.name in store.collections():
                store.drop(spec.name)
            store.create(spec)
            store.load(spec.name, rows.to_batches())
            store.seal(spec.name)
            report["server"] = compared(asked, store.index(spec.name), index)
            store.drop(spec.name)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "search-latency.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def clustered(generator: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """Unit vectors in clusters of a narrow cone, as CLIP's covers are."""
    centres = generator.standard_normal((2_000, 96), dtype=np.float32)
    latent = centres[generator.integers(len(centres), size=count)]
    latent = latent + generator.standard_normal(latent.shape, dtype=np.float32) * 0.6
    vectors = latent @ generator.standard_normal((96, dimension), dtype=np.float32) + 12
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def books(generator: np.random.Generator, vectors: np.ndarray, spec: CollectionSpec) -> pa.Table:
    count = len(vectors)
    words = [f"word{number}" for number in range(5_000)]
    titles = [" ".join(words[n % 5_000] for n in row) for row in generator.zipf(1.3, (count, 3))]
    subjects = [
        [f"Subject {n % 3_000}" for n in set(row)] for row in generator.zipf(1.4, (count, 6)).tolist()
    ]
    authors = [[f"Author {n}"] for n in generator.integers(count // 3, size=count)]
    columns = {
        "edition_key": [f"OL{number:08d}M" for number in range(count)],
        "cover_id": np.arange(count),
        "picture_id": np.arange(count),
        "work_key": [f"OL{number // 2}W" for number in range(count)],
        "title": titles,
        "authors": authors,
        "authors_folded": [[folded(name) for name in names] for names in authors],
        "publish_year": generator.integers(2015, 2025, count),
        "pages": generator.integers(0, 100, count),
        "subjects": subjects,
        "subjects_folded": [list({folded(name) for name in names}) for names in subjects],
        "languages": [["eng"]] * count,
        "url": [""] * count,
        VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
    }
    return pa.table(columns).select(spec.schema.names).cast(spec.schema)


def timed(
    stored: np.ndarray, asked: np.ndarray, index: VectorIndex, engine: SearchEngine
) -> dict[str, dict[str, float]]:
    """p50, p95 and the ratio of p50 to the bare product. Every query asks each kind in turn, so that load hits all.

    Milliseconds are of the processor, since all of it is one thread's work and a busy machine would be timed otherwise.
    """
    kinds: dict[str, Callable[[int], object]] = {
        "bare numpy": lambda n: np.argpartition(-(stored @ asked[n]), 10)[:10]
    }
    for name, filter in FILTERS.items():
        kinds[name] = lambda n, filter=filter: index.search(asked[n][None], 10, filter)
    for name, query in QUERIES.items():
        kinds[name] = lambda n, query=query: engine.search(_worded(query, n))
    seconds = {name: np.empty(len(asked)) for name in kinds}
    for run in (False, True):
        for number in range(len(asked) if run else 3):
            for name, ask in kinds.items():
                started = time.thread_time()
                ask(number)
                seconds[name][number] = time.thread_time() - started
    bare = float(np.median(seconds["bare numpy"]))
    return {
        name: {
            "p50": round(1000 * float(np.median(took)), 2),
            "p95": round(1000 * float(np.percentile(took, 95)), 2),
            "x bare": round(float(np.median(took)) / bare, 2),
        }
        for name, took in seconds.items()
    }


def _worded(query: Query, number: int) -> Query:
    return replace(query, text=f"word{number + 20} word{number % 7}")


def compared(asked: np.ndarray, server: VectorIndex, exact: VectorIndex) -> dict[str, dict[str, float]]:
    """recall@10 and p50 in milliseconds of a server, under each filter."""
    found: dict[str, dict[str, float]] = {}
    for name, filter in FILTERS.items():
        truth = exact.search(asked, 10, filter)
        recalls, seconds = [], []
        for vector, wanted in zip(asked, truth, strict=True):
            started = time.perf_counter()
            [hits] = server.search(vector[None], 10, filter)
            seconds.append(time.perf_counter() - started)
            recalls.append(len({h.key for h in hits} & {h.key for h in wanted}) / max(1, len(wanted)))
        found[name] = {
            "recall@10": float(np.mean(recalls)),
            "p50": round(1000 * float(np.median(seconds)), 2),
        }
    return found


if __name__ == "__main__":
    main()
